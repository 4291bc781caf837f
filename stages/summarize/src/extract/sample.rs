//! How much of a text is looked at: all of most, samples of the largest.

/// Texts up to this are looked at in full. Sentences are found and ranked at 25 MB/s or more, so this takes 20 ms at most.
const FULL: usize = 512 << 10;

/// How much of the beginning of a longer text: it says what the rest is about.
const BEGINNING: usize = 256 << 10;

/// How many samples of the rest, and how long each is: as much as the beginning.
const SAMPLES: usize = 8;
const SAMPLE: usize = (FULL - BEGINNING) / SAMPLES;

/// The parts of a text to look at, in its order.
pub(crate) fn sample(text: &str) -> Vec<&str> {
    if text.len() <= FULL {
        return vec![text];
    }
    let mut parts = vec![&text[..line_before(text, BEGINNING)]];
    let rest = text.len() - BEGINNING;
    for number in 0..SAMPLES {
        // The last sample ends with the text: its end says more than any other place but the beginning.
        let from = BEGINNING + (rest - SAMPLE) / (SAMPLES - 1) * number;
        parts.push(&text[line_after(text, from)..line_before(text, from + SAMPLE)]);
    }
    parts
}

/// How far a line's end is looked for before a sample begins or ends within one.
const NEAR: usize = 4 << 10;

/// Where the last line before `at` ends; `at` itself where that line is very long.
fn line_before(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let near = text.floor_char_boundary(at.saturating_sub(NEAR));
    text[near..at].rfind('\n').map_or(at, |end| near + end + 1)
}

/// Where the first line after `at` begins; `at` itself where the line there is very long.
fn line_after(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let near = text.floor_char_boundary((at + NEAR).min(text.len()));
    text[at..near].find('\n').map_or(at, |end| at + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_within_the_bound_is_looked_at_in_full() {
        let text = "x".repeat(FULL);
        assert_eq!(sample(&text), [text.as_str()]);
    }

    #[test]
    fn of_a_longer_one_beginning_end_and_as_much_as_the_bound_are_looked_at() {
        for unit in ["a line of text\n", "no line ends here, ever. ", "漢字かな交じり文。", "é"] {
            let text = unit.repeat((10 << 20) / unit.len());
            let parts = sample(&text);
            let total: usize = parts.iter().map(|part| part.len()).sum();
            assert!(total <= FULL && total > FULL - 9 * 2 * NEAR, "{unit:?}: {total}");
            assert!(text.starts_with(parts[0]));
            let last = parts[SAMPLES];
            assert!(text.len() - (last.as_ptr() as usize - text.as_ptr() as usize) < 2 * SAMPLE, "{unit:?}");
            for pair in parts.windows(2) {
                assert!(pair[0].as_ptr() as usize + pair[0].len() <= pair[1].as_ptr() as usize, "no part twice");
            }
        }
    }

    #[test]
    fn a_text_just_beyond_the_bound_is_no_exception() {
        for extra in [1, 2, SAMPLE - 1, SAMPLE + 1] {
            let text = "é".repeat((FULL + extra).div_ceil(2) + 1);
            let total: usize = sample(&text).iter().map(|part| part.len()).sum();
            assert!(total <= FULL);
        }
    }
}
