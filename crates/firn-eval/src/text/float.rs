//! Floating-point numbers as text, as `toString` gives them.

use firn_syntax::number::float as general;

/// As `toString` gives it: six digits after the point.
pub fn fixed(n: f64) -> String {
    if n.is_finite() { format!("{n:.6}") } else { general(n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (n, fixed_form, general_form) in [
            (1.5, "1.500000", "1.5"),
            (1.0, "1.000000", "1"),
            (-0.0, "-0.000000", "-0"),
            (1e15, "1000000000000000.000000", "1e+15"),
            (1e14, "100000000000000.000000", "1e+14"),
            (123456789.125, "123456789.125000", "1.23457e+08"),
            (0.0001, "0.000100", "0.0001"),
            (0.00001, "0.000010", "1e-05"),
            (0.00012345, "0.000123", "0.00012345"),
            (1.5e300, &format!("{:.6}", 1.5e300), "1.5e+300"),
            (999999.5, "999999.500000", "1e+06"),
        ] {
            assert_eq!(fixed(n), fixed_form);
            assert_eq!(general(n), general_form);
        }
        assert_eq!(fixed(f64::NEG_INFINITY), "-inf");
    }
}
