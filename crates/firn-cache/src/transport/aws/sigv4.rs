//! AWS Signature Version 4, as far as requests to buckets need it (Amazon S3 API Reference, "Signature Calculations for
//! the Authorization Header").

use aws_lc_rs::hmac;
use firn_model::hash::{Hash, HashAlgo};

/// Who asks. What is secret is never shown.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`; never shown.
    pub secret: String,
    /// `AWS_SESSION_TOKEN`
    pub token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// One request.
pub(crate) struct Signable<'a> {
    pub method: &'a str,
    /// `scheme://host/path?query`, the path and the query encoded.
    pub url: &'a str,
    /// The SHA-256 of the payload, base 16.
    pub payload: &'a str,
    /// `20130524T000000Z`
    pub time: &'a str,
    pub region: &'a str,
    /// `s3`, `sts`
    pub service: &'a str,
}

impl Signable<'_> {
    /// The header fields that sign the request.
    pub(crate) fn sign(&self, credentials: &Credentials) -> Vec<(String, String)> {
        let rest = self.url.split_once("://").map_or(self.url, |(_, rest)| rest);
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = if path.is_empty() { "/" } else { path };
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|p| if p.contains('=') { p.to_owned() } else { format!("{p}=") })
            .collect();
        pairs.sort_unstable();
        let mut headers = vec![
            ("host", host.to_owned()),
            ("x-amz-content-sha256", self.payload.to_owned()),
            ("x-amz-date", self.time.to_owned()),
        ];
        if let Some(token) = &credentials.token {
            headers.push(("x-amz-security-token", token.clone()));
        }
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let canonical: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!(
            "{}\n{path}\n{}\n{canonical}\n{names}\n{}",
            self.method,
            pairs.join("&"),
            self.payload
        );
        let date = self.time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let digest = Hash::digest(HashAlgo::Sha256, request.as_bytes()).to_base16();
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", self.time);
        let mut key = format!("AWS4{}", credentials.secret).into_bytes();
        for part in [date, self.region, self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        let signature: String = mac(&key, &text).iter().map(|b| format!("{b:02x}")).collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            credentials.key_id
        );
        headers
            .into_iter()
            // the client writes this one itself
            .filter(|(name, _)| *name != "host")
            .map(|(name, value)| (name.to_owned(), value))
            .chain([("authorization".to_owned(), authorization)])
            .collect()
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// `20130524T000000Z` for a number of seconds since 1970.
pub(crate) fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // the calendar, counted from 1 March of the year 0, so that leap days come last
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The seconds since 1970 of a time in UTC, as `2013-05-24T00:00:00Z`, with or without fractions.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<[u64; 3]> {
        let found: Option<Vec<u64>> = text.split(separator).map(|n| n.parse().ok()).collect();
        found?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let plausible = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !plausible {
        return None;
    }
    // as in `timestamp`, from 1 March on
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let (era, of_era) = (year / 400, year % 400);
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_documentation() {
        // the example "GET Bucket Lifecycle" of Amazon's documentation, whose headers are just these
        let credentials = Credentials {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let payload = Hash::digest(HashAlgo::Sha256, b"").to_base16();
        let sign = |url: &str| {
            let headers = Signable {
                method: "GET",
                url,
                payload: &payload,
                time: "20130524T000000Z",
                region: "us-east-1",
                service: "s3",
            }
            .sign(&credentials);
            headers.into_iter().find(|(n, _)| n == "authorization").unwrap().1
        };
        assert!(sign("https://examplebucket.s3.amazonaws.com/?lifecycle").ends_with(
            "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        ));
        // "Get Bucket (List Objects)"
        assert!(sign("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J").ends_with(
            "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        ));
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(1_369_353_600), "20130524T000000Z");
        assert_eq!(timestamp(951_827_696), "20000229T123456Z");
        assert_eq!(timestamp(4_102_444_799), "20991231T235959Z");
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-02-29T12:34:56Z"), Some(951_827_696));
        assert_eq!(seconds("2099-12-31T23:59:59.123Z"), Some(4_102_444_799));
        for bad in ["", "2000-02-29", "2000-13-01T00:00:00Z", "2000-02-29T12:34:56", "x"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
