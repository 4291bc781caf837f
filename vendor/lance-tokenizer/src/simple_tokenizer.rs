// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors
// SPDX-License-Identifier: MIT
// Adapted from Tantivy v0.24.2 simple tokenizer.
// Copyright (c) 2017-present Tantivy contributors.
// Changed for docmill: ASCII is not decoded.

use crate::{Token, TokenStream, Tokenizer};

#[derive(Clone, Default)]
pub struct SimpleTokenizer {
    token: Token,
}

pub struct SimpleTokenStream<'a> {
    text: &'a str,
    /// Up to where the text is read.
    read: usize,
    token: &'a mut Token,
}

impl Tokenizer for SimpleTokenizer {
    type TokenStream<'a> = SimpleTokenStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        self.token.reset();
        SimpleTokenStream {
            text,
            read: 0,
            token: &mut self.token,
        }
    }
}

impl SimpleTokenStream<'_> {
    /// Reads over characters that are alphanumeric, or over those that are not.
    #[inline]
    fn skip(&mut self, alphanumeric: bool) {
        while let Some(&byte) = self.text.as_bytes().get(self.read) {
            let (is, length) = if byte.is_ascii() {
                (byte.is_ascii_alphanumeric(), 1)
            } else {
                let c = self.text[self.read..].chars().next().unwrap_or_default();
                (c.is_alphanumeric(), c.len_utf8())
            };
            if is != alphanumeric {
                return;
            }
            self.read += length;
        }
    }
}

impl TokenStream for SimpleTokenStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        self.token.position = self.token.position.wrapping_add(1);
        self.skip(false);
        let offset_from = self.read;
        self.skip(true);
        if self.read == offset_from {
            return false;
        }
        self.token.offset_from = offset_from;
        self.token.offset_to = self.read;
        self.token.text.push_str(&self.text[offset_from..self.read]);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
