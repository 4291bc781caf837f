// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors
// Changed for docmill: what filters make of a word is remembered (by_word.rs).

mod alphanum_only;
mod analyzer;
mod ascii_folding_filter;
mod by_word;
mod code_tokenizer;
mod icu;
#[cfg(feature = "tokenizer-jieba")]
mod jieba;
mod lower_caser;
mod ngram_tokenizer;
mod raw_tokenizer;
mod remove_long;
mod simple_tokenizer;
mod stemmer;
mod stop_word_filter;
mod tokenizer_api;
mod whitespace_tokenizer;
mod word_delimiter_filter;

#[cfg(feature = "tokenizer-lindera")]
mod lindera;

pub use alphanum_only::AlphaNumOnlyFilter;
pub use analyzer::{TextAnalyzer, TextAnalyzerBuilder};
pub use ascii_folding_filter::AsciiFoldingFilter;
pub use code_tokenizer::CodeLexTokenizer;
pub use icu::IcuTokenizer;
#[cfg(feature = "tokenizer-jieba")]
pub use jieba::JiebaTokenizer;
#[cfg(feature = "tokenizer-lindera")]
pub use lindera::LinderaTokenizer;
pub use lower_caser::LowerCaser;
pub use ngram_tokenizer::NgramTokenizer;
pub use raw_tokenizer::RawTokenizer;
pub use remove_long::RemoveLongFilter;
pub use simple_tokenizer::{SimpleTokenStream, SimpleTokenizer};
pub use stemmer::{Language, Stemmer};
pub use stop_word_filter::StopWordFilter;
pub use tokenizer_api::{BoxTokenStream, Token, TokenFilter, TokenStream, Tokenizer};
pub use whitespace_tokenizer::WhitespaceTokenizer;
pub use word_delimiter_filter::WordDelimiterFilter;
