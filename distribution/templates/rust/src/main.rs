/// A greeting with the number of letters of the name.
fn greeting(name: &str) -> String {
    let mut number = itoa::Buffer::new();
    format!(
        "Hello, {name}! Your name has {} letters.",
        number.format(name.chars().count())
    )
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "world".into());
    println!("{}", greeting(&name));
}

#[cfg(test)]
mod tests {
    #[test]
    fn letters_are_counted() {
        assert_eq!(
            super::greeting("Zoë"),
            "Hello, Zoë! Your name has 3 letters."
        );
    }
}
