//! Points in time as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// `2026-03-01 12:30 UTC`.
pub fn utc(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let minutes = seconds / 60;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
}

/// `5 minutes ago`.
pub fn ago(seconds: u64) -> String {
    let passed = now().saturating_sub(seconds);
    let (count, unit) = match passed {
        0..60 => (passed, "second"),
        60..3600 => (passed / 60, "minute"),
        3600..172_800 => (passed / 3600, "hour"),
        _ => (passed / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// `90s`, `15m`, `12h`, `7d`; a bare number is seconds.
///
/// # Errors
/// What a time looks like.
pub fn span(text: &str) -> Result<std::time::Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    let seconds = factor.and_then(|factor| Some(number.trim().parse::<f64>().ok()? * factor));
    let span = seconds.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
    span.ok_or_else(|| format!("`{text}` is no time; write 90s, 15m, 12h or 7d"))
}

/// Year, month and day of a day since 1970-01-01: whole eras of 400 years first, then the years that
/// begin in March, so that the leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400 + 3661), "2000-02-29 01:01 UTC");
        assert_eq!(utc(1_772_368_199), "2026-03-01 12:29 UTC");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    #[test]
    fn times_as_people_write_them() {
        assert_eq!(span("1.5h").unwrap().as_secs(), 5400);
        assert_eq!(span("7d").unwrap().as_secs(), 604_800);
        for wrong in ["", "h", "1w", "-1s", "1e400"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
