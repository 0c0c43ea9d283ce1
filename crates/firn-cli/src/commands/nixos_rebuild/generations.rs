//! `nixos-rebuild list-generations`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use firn_store::profile;
use serde_json::json;

/// What is told of a generation.
struct Row {
    number: u64,
    date: String,
    version: String,
    kernel: String,
    revision: String,
    specialisations: Vec<String>,
    current: bool,
}

/// Lists the generations of `profile`, the newest first.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn list(profile: &Path, as_json: bool) -> Result<ExitCode, String> {
    let found = profile::generations(profile).map_err(|e| e.to_string())?;
    if found.all.is_empty() {
        return Err(format!("the profile '{}' has no generations", profile.display()));
    }
    let rows: Vec<Row> = found
        .all
        .iter()
        .rev()
        .map(|g| row(g.number, &g.path, g.created, found.current == Some(g.number)))
        .collect();
    if as_json {
        let list: Vec<_> = rows
            .iter()
            .map(|r| {
                json!({
                    "generation": r.number, "date": r.date, "nixosVersion": r.version,
                    "kernelVersion": r.kernel, "configurationRevision": r.revision,
                    "specialisations": r.specialisations, "current": r.current,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&list).map_err(|e| e.to_string())?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = vec![
        [
            "Generation",
            "Build-date",
            "NixOS version",
            "Kernel",
            "Configuration Revision",
            "Specialisation",
            "Current",
        ]
        .map(str::to_owned),
    ];
    for r in rows {
        table.push([
            r.number.to_string(),
            r.date,
            r.version,
            r.kernel,
            r.revision,
            r.specialisations.join(" "),
            if r.current { "True" } else { "False" }.to_owned(),
        ]);
    }
    let width = |column: usize| table.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    for row in &table {
        let line: Vec<String> =
            row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        println!("{}", line.join("  ").trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn row(number: u64, link: &Path, created: i64, current: bool) -> Row {
    let read = |name: &str| {
        fs::read_to_string(link.join(name)).map(|t| t.trim().to_owned()).unwrap_or_default()
    };
    let kernel = fs::read_dir(link.join("kernel-modules/lib/modules"))
        .ok()
        .and_then(|mut d| d.next()?.ok())
        .map(|e| e.file_name().to_string_lossy().into_owned());
    let mut specialisations: Vec<String> = fs::read_dir(link.join("specialisation"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    specialisations.sort();
    Row {
        number,
        date: date(created),
        version: read("nixos-version"),
        kernel: kernel.unwrap_or_else(|| "-".to_owned()),
        revision: fs::read_to_string(link.join("configuration-revision"))
            .map_or_else(|_| "-".to_owned(), |t| t.trim().to_owned()),
        specialisations,
        current,
    }
}

/// `2026-11-22 20:10:00` in UTC, from seconds since 1970 (the civil-from-days algorithm of the
/// proleptic Gregorian calendar).
fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        // values of `date -u -d @N`
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_827_696), "2000-02-29 12:34:56");
        assert_eq!(date(1_795_383_000), "2026-11-22 21:30:00");
    }
}
