//! The vector of a text: a bag of its words, so that texts with words in common are near each other.

use docmill_api::Digest;

/// How many dimensions a word changes: with one, two words that fall on the same are the same; with three they are not.
const PLACES: usize = 3;

/// The vector of a text, of length 1.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    let lower = text.to_lowercase();
    for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(word, &mut vector);
    }
    let norm = norm(&vector);
    if norm == 0.0 {
        // No word, or words that cancel each other out: the text is one word.
        add(text, &mut vector);
    }
    let norm = if norm == 0.0 { self::norm(&vector) } else { norm };
    if norm == 0.0 {
        vector[0] = 1.0;
        return vector;
    }
    for number in &mut vector {
        *number /= norm;
    }
    vector
}

fn add(word: &str, vector: &mut [f32]) {
    let digest = Digest::of(&[word.as_bytes()]);
    for bytes in digest.as_bytes().chunks_exact(8).take(PLACES) {
        let place = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize % vector.len();
        vector[place] += if bytes[4] & 1 == 0 { 1.0 } else { -1.0 };
    }
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|number| number * number).sum::<f32>().sqrt()
}

/// The numbers as OpenAI gives them for `"encoding_format": "base64"`: 32-bit floats, lowest byte first.
pub(super) fn base64(vector: &[f32]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..4 {
            let at = (bits >> (18 - 6 * letter)) as usize & 63;
            text.push(if letter > three.len() { '=' } else { char::from(LETTERS[at]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: &str, right: &str) -> f32 {
        vector(left, 256).iter().zip(vector(right, 256)).map(|(left, right)| left * right).sum()
    }

    #[test]
    fn texts_with_words_in_common_are_nearer() {
        let question = "how often is the sluice greased";
        let like = near(question, "The sluice is greased every spring, by hand.");
        let unlike = near(question, "Invoices go to accounting within thirty days.");
        assert!(like > unlike + 0.2, "{like} {unlike}");
        assert!(
            (near(question, "GREASED, sluice: the is often how!") - 1.0).abs() < 1e-5,
            "order and case are nothing"
        );
    }

    #[test]
    fn every_vector_has_length_one() {
        for text in ["", " ", "!!!", "a", "many words and more", "日本語"] {
            for dimensions in [2, 3, 1024] {
                let vector = vector(text, dimensions);
                assert_eq!(vector.len(), dimensions);
                assert!((norm(&vector) - 1.0).abs() < 1e-5, "{text:?} {dimensions}");
            }
        }
    }

    #[test]
    fn base64_is_what_others_write() {
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(base64(&[1.0, -2.5, 0.0]), "AACAPwAAIMAAAAAA");
    }
}
