//! The day from which an account is closed, as `/etc/shadow` has it (`shadow(5)`): a number of days.

/// The days from 1970-01-01 to `date`, which is `YYYY-MM-DD`; none if there is no such day.
pub(super) fn days(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<i64>().ok()).flatten()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let length = *lengths.get(before)?;
    if !(1..=length).contains(&day) {
        return None;
    }
    // leap days in the years before `year`
    let leaps = |year: i64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let to_year = (year - 1970) * 365 + leaps(year) - leaps(1970);
    Some(to_year + lengths[..before].iter().sum::<i64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_1970() {
        // as `date -u -d DATE +%s` / 86400 gives
        for (date, expected) in [
            ("1970-01-01", 0),
            ("1971-03-01", 424),
            ("2000-02-29", 11_016),
            ("2024-12-31", 20_088),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(days(date), Some(expected), "{date}");
        }
        for date in
            ["", "2023-02-29", "2023-13-01", "2023-00-10", "2023-1-1", "2023-01-32", "+023-01-01"]
        {
            assert_eq!(days(date), None, "{date}");
        }
    }
}
