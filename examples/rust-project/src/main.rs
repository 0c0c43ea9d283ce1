use std::io::Read;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let found = words::count(&text);
    let (mut all, mut different) = (itoa::Buffer::new(), itoa::Buffer::new());
    println!(
        "{} words, {} different",
        all.format(found.all),
        different.format(found.different)
    );
    Ok(())
}
