// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors
// Changed for docmill: symbols are found and values compressed in a third to half of the time (build_symbol_table, compress_bulk).

// the first 32-bits of a FSST compressed file is the FSST magic number
const FSST_MAGIC: u64 = 0x46535354 << 32; // "FSST"
// when the code is FSST_ESC, the next byte should be interpreted as is
const FSST_ESC: u8 = 255;
// when building symbol table, we have a maximum of 512 symbols, so we can use 9 bits to represent the code
const FSST_CODE_BITS: u16 = 9;
// when building symbol table, we use the first 256 codes to represent the index itself, for example, code 0 represents byte 0
const FSST_CODE_BASE: u16 = 256;

// code 512, which we can never reach(maximum code is 511)
const FSST_CODE_MAX: u16 = 1 << FSST_CODE_BITS;
// all code bits set
const FSST_CODE_MASK: u16 = FSST_CODE_MAX - 1;
// we construct FSST symbol tables using a random sample of about 16KB (1<<14)
const FSST_SAMPLETARGET: usize = 1 << 14;
const FSST_SAMPLEMAXSZ: usize = 2 * FSST_SAMPLETARGET;

// if the input size is less than 32 KB, we mark the file header and copy the input to the output as is
pub const FSST_LEAST_INPUT_SIZE: usize = 32 * 1024;

// if the max length of the input strings are less than `FSST_LEAST_INPUT_MAX_LENGTH`, we shouldn't use FSST.
pub const FSST_LEAST_INPUT_MAX_LENGTH: u64 = 5;

// we only use the lower 32 bits in icl, so we can use 1 << 32 to represent a free slot in the hash table
const FSST_ICL_FREE: u64 = 1 << 32;
// in the icl field of a symbol, the symbol length is stored in 4 bits starting from the 28th bit
const CODE_LEN_SHIFT_IN_ICL: u64 = 28;
// in the icl field of a symbol, the symbol code is stored in the 12 bits starting from the 16th bit
const CODE_SHIFT_IN_ICL: u64 = 16;

const CODE_LEN_SHIFT_IN_CODE: u64 = 12;

const FSST_HASH_TAB_SIZE: usize = 1024;
const FSST_HASH_PRIME: u64 = 2971215073;
const FSST_SHIFT: usize = 15;
#[inline]
fn fsst_hash(w: u64) -> u64 {
    w.wrapping_mul(FSST_HASH_PRIME) ^ ((w.wrapping_mul(FSST_HASH_PRIME)) >> FSST_SHIFT)
}

const MAX_SYMBOL_LENGTH: usize = 8;

pub const FSST_SYMBOL_TABLE_SIZE: usize = 8 + 256 * 8 + 256; // 8 bytes for the header, 256 symbols(8 bytes each), 256 bytes for lens

use arrow_array::OffsetSizeTrait;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::select_unpredictable;
use std::io;
use std::marker::PhantomData;
use std::ptr;

#[inline]
fn fsst_unaligned_load_unchecked(v: *const u8) -> u64 {
    // SAFETY: the caller must guarantee that `v` points to at least 8 readable bytes. All callers
    // uphold this: `build_symbol_table` guards the load with `word.len() > 7 && curr < word.len() - 7`,
    // `find_longest_symbol_from_char_slice` copies into a stack `[u8; 8]` before loading, and
    // `FsstDecoder::init` reads symbols from a `symbol_table` buffer already validated to be
    // exactly `FSST_SYMBOL_TABLE_SIZE` bytes.
    unsafe { ptr::read_unaligned(v as *const u64) }
}

#[derive(Default, Copy, Clone, PartialEq, Eq)]
struct Symbol {
    // the byte sequence that this symbol stands for
    val: u64,

    // icl = u64 ignoredBits:16,code:12,length:4,unused:32 -- but we avoid exposing this bit-field notation
    // use a single u64 to be sure "code" is accessed with one load and can be compared with one comparison
    icl: u64,
}

use std::fmt;

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.val.to_ne_bytes();
        for i in 0..self.symbol_len() {
            write!(f, "{}", bytes[i as usize] as char)?;
        }
        write!(f, "\t")?;
        write!(
            f,
            "ignoredBits: {}, code: {}, length: {}",
            self.ignored_bits(),
            self.code(),
            self.symbol_len()
        )?;
        Ok(())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.val.to_ne_bytes();
        for i in 0..self.symbol_len() {
            write!(f, "{}", bytes[i as usize] as char)?;
        }
        write!(f, "\t")?;
        write!(
            f,
            "ignoredBits: {}, code: {}, length: {}",
            self.ignored_bits(),
            self.code(),
            self.symbol_len()
        )?;
        Ok(())
    }
}

impl Symbol {
    fn new() -> Self {
        Self {
            val: 0,
            icl: FSST_ICL_FREE,
        }
    }

    fn from_char(c: u8, code: u16) -> Self {
        Self {
            val: c as u64,
            // in a symbol which represents a single character, 56 bits(7 bytes) are ignored, code length is 1
            icl: (1 << CODE_LEN_SHIFT_IN_ICL) | ((code as u64) << CODE_SHIFT_IN_ICL) | 56,
        }
    }

    fn set_code_len(&mut self, code: u16, len: u32) {
        self.icl = ((len as u64) << CODE_LEN_SHIFT_IN_ICL)
            | ((code as u64) << CODE_SHIFT_IN_ICL)
            | ((8u64.saturating_sub(len as u64)) * 8);
    }

    #[inline]
    fn symbol_len(&self) -> u32 {
        (self.icl >> CODE_LEN_SHIFT_IN_ICL) as u32
    }

    #[inline]
    fn code(&self) -> u16 {
        ((self.icl >> CODE_SHIFT_IN_ICL) & FSST_CODE_MASK as u64) as u16
    }

    // ignoredBits is (8-length)*8, which is the amount of high bits to zero in the input word before comparing with the hashtable key
    // it could of course be computed from len during lookup, but storing it precomputed in some loose bits is faster
    #[inline]
    fn ignored_bits(&self) -> u32 {
        (self.icl & u16::MAX as u64) as u32
    }

    #[inline]
    fn first(&self) -> u8 {
        assert!(self.symbol_len() >= 1);
        (0xFF & self.val) as u8
    }

    #[inline]
    fn first2(&self) -> u16 {
        assert!(self.symbol_len() >= 2);
        (0xFFFF & self.val) as u16
    }

    #[inline]
    fn hash(&self) -> u64 {
        let v = 0xFFFFFF & self.val;
        fsst_hash(v)
    }

    // right is the substring follows left
    // for example, in "hello",
    // "llo" is the substring that follows "he"
    fn concat(left: Self, right: Self) -> Self {
        let mut s = Self::new();
        let mut length = left.symbol_len() + right.symbol_len();
        if length > MAX_SYMBOL_LENGTH as u32 {
            length = MAX_SYMBOL_LENGTH as u32;
        }
        s.set_code_len(FSST_CODE_MASK, length);
        s.val = (right.val << (8 * left.symbol_len())) | left.val;
        s
    }
}

// Symbol that can be put in a queue, ordered on gain
#[derive(Clone)]
struct QSymbol {
    symbol: Symbol,
    // the gain field is only used in the symbol queue that sorts symbols on gain
    gain: u32,
}

impl PartialEq for QSymbol {
    fn eq(&self, other: &Self) -> bool {
        self.symbol.val == other.symbol.val && self.symbol.icl == other.symbol.icl
    }
}

impl Ord for QSymbol {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.gain
            .cmp(&other.gain)
            .then_with(|| other.symbol.val.cmp(&self.symbol.val))
    }
}

impl PartialOrd for QSymbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for QSymbol {}

/// What a candidate is known by: its bytes, and how many, for a symbol may end in zeros.
type Candidate = (u64, u32);

/// docmill: candidates are few thousand, of a sample, and looked up for each pair that came; SipHash was most of that.
#[derive(Default)]
struct CandidateHasher(u64);

impl Hasher for CandidateHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[derive(Clone)]
struct SymbolTable {
    short_codes: [u16; 65536],
    byte_codes: [u16; 256],
    symbols: [Symbol; FSST_CODE_MAX as usize],
    hash_tab: [Symbol; FSST_HASH_TAB_SIZE],
    n_symbols: u16,
    terminator: u16,
    // in a finalized symbol table, symbols are arranged by their symbol length,
    // in the order of 2, 3, 4, 5, 6, 7, 8, 1, codes < suffix_lim are 2 bytes codes that don't have a longer suffix
    suffix_lim: u16,
    len_histo: [u8; FSST_CODE_BITS as usize],
}

impl std::fmt::Display for SymbolTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "A FSST SymbolTable after finalize():")?;
        writeln!(f, "n_symbols: {}", self.n_symbols)?;
        for i in 0_usize..self.n_symbols as usize {
            writeln!(f, "symbols[{}]: {}", i, self.symbols[i])?;
        }
        writeln!(f, "suffix_lim: {}", self.suffix_lim)?;
        for i in 0..FSST_CODE_BITS {
            writeln!(f, "len_histo[{}]: {}", i, self.len_histo[i as usize])?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for SymbolTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "A FSST SymbolTable before finalize():")?;
        writeln!(f, "n_symbols: {}", self.n_symbols)?;
        for i in FSST_CODE_BASE as usize..FSST_CODE_BASE as usize + self.n_symbols as usize {
            writeln!(f, "symbols[{}]: {}", i, self.symbols[i])?;
        }
        writeln!(f, "suffix_lim: {}", self.suffix_lim)?;
        for i in 0..FSST_CODE_BITS {
            writeln!(f, "len_histo[{}]: {}\n", i, self.len_histo[i as usize])?;
        }
        Ok(())
    }
}

impl SymbolTable {
    fn new() -> Self {
        let mut symbols = [Symbol::new(); FSST_CODE_MAX as usize];
        for (i, symbol) in symbols.iter_mut().enumerate().take(256) {
            *symbol = Symbol::from_char(i as u8, i as u16);
        }
        let unused = Symbol::from_char(0, FSST_CODE_MASK);
        for i in 256..FSST_CODE_MAX {
            symbols[i as usize] = unused;
        }
        let s = Symbol::new();
        let hash_tab = [s; FSST_HASH_TAB_SIZE];
        let mut byte_codes = [0; 256];
        for (i, byte_code) in byte_codes.iter_mut().enumerate() {
            *byte_code = i as u16;
        }
        let mut short_codes = [FSST_CODE_MASK; 65536];
        for (i, short_code) in short_codes.iter_mut().enumerate() {
            *short_code = i as u16 & 0xFF;
        }
        Self {
            short_codes,
            byte_codes,
            symbols,
            hash_tab,
            n_symbols: 0,
            terminator: 256,
            suffix_lim: FSST_CODE_MAX,
            len_histo: [0; FSST_CODE_BITS as usize],
        }
    }

    fn clear(&mut self) {
        for i in 0..256 {
            self.symbols[i] = Symbol::from_char(i as u8, i as u16);
        }
        let unused = Symbol::from_char(0, FSST_CODE_MASK);
        for i in 256..FSST_CODE_MAX {
            self.symbols[i as usize] = unused;
        }
        for i in 0..256 {
            self.byte_codes[i] = i as u16;
        }
        for (i, short_code) in self.short_codes.iter_mut().enumerate() {
            *short_code = i as u16 & 0xFF;
        }
        let s = Symbol::new();
        for i in 0..FSST_HASH_TAB_SIZE {
            self.hash_tab[i] = s;
        }
        for i in 0..FSST_CODE_BITS as usize {
            self.len_histo[i] = 0;
        }
        self.n_symbols = 0;
    }

    fn hash_insert(&mut self, s: Symbol) -> bool {
        let idx = (s.hash() & (FSST_HASH_TAB_SIZE as u64 - 1)) as usize;
        let taken = self.hash_tab[idx].icl < FSST_ICL_FREE;
        if taken {
            return false; // collision in hash table
        }
        self.hash_tab[idx].icl = s.icl;
        self.hash_tab[idx].val = s.val & (u64::MAX >> (s.ignored_bits()));
        true
    }

    fn add(&mut self, mut s: Symbol) -> bool {
        assert!(FSST_CODE_BASE + self.n_symbols < FSST_CODE_MAX);
        let len = s.symbol_len();
        s.set_code_len(FSST_CODE_BASE + self.n_symbols, len);
        if len == 1 {
            self.byte_codes[s.first() as usize] = FSST_CODE_BASE + self.n_symbols;
        } else if len == 2 {
            self.short_codes[s.first2() as usize] = FSST_CODE_BASE + self.n_symbols;
        } else if !self.hash_insert(s) {
            return false;
        }
        self.symbols[(FSST_CODE_BASE + self.n_symbols) as usize] = s;
        self.n_symbols += 1;
        self.len_histo[(len - 1) as usize] += 1;
        true
    }

    fn find_longest_symbol_from_char_slice(&self, input: &[u8]) -> u16 {
        let len = if input.len() >= MAX_SYMBOL_LENGTH {
            MAX_SYMBOL_LENGTH
        } else {
            input.len()
        };
        if len < 2 {
            return self.byte_codes[input[0] as usize] & FSST_CODE_MASK;
        }
        if len == 2 {
            let short_code = ((input[1] as usize) << 8) | input[0] as usize;
            if self.short_codes[short_code] >= FSST_CODE_BASE {
                return self.short_codes[short_code] & FSST_CODE_MASK;
            } else {
                return self.byte_codes[input[0] as usize] & FSST_CODE_MASK;
            }
        }
        let mut input_in_1_word = [0; 8];
        input_in_1_word[..len].copy_from_slice(&input[..len]);
        let input_in_u64 = fsst_unaligned_load_unchecked(input_in_1_word.as_ptr());
        let hash_idx = fsst_hash(input_in_u64) as usize & (FSST_HASH_TAB_SIZE - 1);
        let s_in_hash_tab = self.hash_tab[hash_idx];
        if s_in_hash_tab.icl < FSST_ICL_FREE
            && s_in_hash_tab.val == (input_in_u64 & (u64::MAX >> s_in_hash_tab.ignored_bits()))
        {
            return s_in_hash_tab.code();
        }
        self.byte_codes[input[0] as usize] & FSST_CODE_MASK
    }

    // rationale for finalize:
    // - during symbol table construction, we may create more than 256 codes, but bring it down to max 255 in the last makeTable()
    //   consequently we needed more than 8 bits during symbol table construction, but can simplify the codes to single bytes in finalize()
    //   (this feature is in fact lo longer used, but could still be exploited: symbol construction creates no more than 255 symbols in each pass)
    // - we not only reduce the amount of codes to <255, but also *reorder* the symbols and renumber their codes, for higher compression perf.
    //   we renumber codes so they are grouped by length, to allow optimized scalar string compression (byteLim and suffixLim optimizations).
    // - we make the use of byteCode[] no longer necessary by inserting single-byte codes in the free spots of shortCodes[]
    //   Using shortCodes[] only makes compression faster. When creating the symbolTable, however, using shortCodes[] for the single-byte
    //   symbols is slow, as each insert touches 256 positions in it. This optimization was added when optimizing symbolTable construction time.
    //
    // In all, we change the layout and coding, as follows..
    //
    // before finalize():
    // - The real symbols are symbols[256..256+nSymbols>. As we may have nSymbols > 255
    // - The first 256 codes are pseudo symbols (all escaped bytes)
    //
    // after finalize():
    // - table layout is symbols[0..nSymbols>, with nSymbols < 256.
    // - Real codes are [0,nSymbols>. 8-th bit not set.
    // - Escapes in shortCodes have the 8th bit set (value: 256+255=511). 255 because the code to be emitted is the escape byte 255
    // - symbols are grouped by length: 2,3,4,5,6,7,8, then 1 (single-byte codes last)
    // the two-byte codes are split in two sections:
    // - first section contains codes for symbols for which there is no longer symbol (no suffix). It allows an early-out during compression
    //
    // finally, shortCodes[] is modified to also encode all single-byte symbols (hence byteCodes[] is not required on a critical path anymore).
    fn finalize(&mut self) {
        assert!(self.n_symbols < FSST_CODE_BASE);
        let mut new_code: [u16; 256] = [0; 256];
        let mut rsum: [u8; 8] = [0; 8];
        let byte_lim = self.n_symbols - self.len_histo[0] as u16;

        rsum[0] = byte_lim as u8; // 1-byte codes are highest
        for i in 1..7 {
            rsum[i + 1] = rsum[i] + self.len_histo[i];
        }

        let mut suffix_lim = 0;
        let mut j = rsum[2];
        for i in 0..self.n_symbols {
            let mut s1 = self.symbols[(FSST_CODE_BASE + i) as usize];
            let len = s1.symbol_len();
            let opt = if len == 2 { self.n_symbols } else { 0 };
            if opt != 0 {
                let mut has_suffix = false;
                let first2 = s1.first2();
                for k in 0..opt {
                    let s2 = self.symbols[(FSST_CODE_BASE + k) as usize];
                    if k != i && s2.symbol_len() > 2 && first2 == s2.first2() {
                        has_suffix = true;
                    }
                }
                new_code[i as usize] = if has_suffix {
                    suffix_lim += 1;
                    suffix_lim - 1
                } else {
                    j -= 1;
                    j as u16
                };
            } else {
                new_code[i as usize] = rsum[(len - 1) as usize] as u16;
                rsum[(len - 1) as usize] += 1;
            }
            s1.set_code_len(new_code[i as usize], len);
            self.symbols[new_code[i as usize] as usize] = s1;
        }

        for i in 0..256 {
            if (self.byte_codes[i] & FSST_CODE_MASK) >= FSST_CODE_BASE {
                self.byte_codes[i] =
                    new_code[(self.byte_codes[i] & 0xFF) as usize] | (1 << CODE_LEN_SHIFT_IN_CODE);
            } else {
                self.byte_codes[i] = 511 | (1 << CODE_LEN_SHIFT_IN_CODE);
            }
        }

        for i in 0..65536 {
            if (self.short_codes[i] & FSST_CODE_MASK) > FSST_CODE_BASE {
                self.short_codes[i] =
                    new_code[(self.short_codes[i] & 0xFF) as usize] | (2 << CODE_LEN_SHIFT_IN_CODE);
            } else {
                self.short_codes[i] = self.byte_codes[i & 0xFF] | (1 << CODE_LEN_SHIFT_IN_CODE);
            }
        }

        for i in 0..FSST_HASH_TAB_SIZE {
            if self.hash_tab[i].icl < FSST_ICL_FREE {
                self.hash_tab[i] =
                    self.symbols[new_code[(self.hash_tab[i].code() & 0xFF) as usize] as usize];
            }
        }
        self.suffix_lim = suffix_lim;
    }
}

/// How often each code comes, and each pair of codes. docmill: one run of numbers and a list of the pairs that came, used
/// again for each round, where each of six rounds made 513 vectors and looked at all 261,121 pairs.
struct Counters {
    count1: Vec<u16>,
    count2: Vec<u16>,
    pairs: Vec<u32>,
}

impl Counters {
    fn new() -> Self {
        Self {
            count1: vec![0; FSST_CODE_MAX as usize],
            count2: vec![0; FSST_CODE_MAX as usize * FSST_CODE_MAX as usize],
            pairs: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.count1.fill(0);
        for pair in self.pairs.drain(..) {
            self.count2[pair as usize] = 0;
        }
    }

    #[inline]
    fn count1_set(&mut self, pos1: usize, val: u16) {
        self.count1[pos1] = val;
    }

    #[inline]
    fn count1_inc(&mut self, pos1: u16) {
        self.count1[pos1 as usize] = self.count1[pos1 as usize].saturating_add(1);
    }

    #[inline]
    fn count2_inc(&mut self, pos1: usize, pos2: usize) {
        let pair = pos1 * FSST_CODE_MAX as usize + pos2;
        if self.count2[pair] == 0 {
            self.pairs.push(pair as u32);
        }
        self.count2[pair] = self.count2[pair].saturating_add(1);
    }

    #[inline]
    fn count1_get(&self, pos1: usize) -> u16 {
        self.count1[pos1]
    }

    /// The pairs that came, each as two codes and how often.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, u16)> {
        self.pairs.iter().map(|&pair| {
            let pair = pair as usize;
            (
                pair / FSST_CODE_MAX as usize,
                pair % FSST_CODE_MAX as usize,
                self.count2[pair],
            )
        })
    }
}

#[inline]
fn is_escape_code(pos: u16) -> bool {
    pos < FSST_CODE_BASE
}

// Select roughly FSST_SAMPLETARGET bytes, preserving complete strings.
fn make_sample<T: OffsetSizeTrait>(
    in_buf: &[u8],
    offsets: &[T],
    rng: &mut impl Rng,
) -> (Vec<u8>, Vec<T>) {
    let total_size = in_buf.len();
    if total_size <= FSST_SAMPLETARGET {
        return (in_buf.to_vec(), offsets.to_vec());
    }
    let mut sample_buf = Vec::with_capacity(FSST_SAMPLEMAXSZ);
    let mut sample_offsets = Vec::with_capacity(FSST_SAMPLETARGET + 2);

    sample_offsets.push(T::zero());
    // Each nonempty draw contributes at least one byte. Limit unsuccessful
    // draws too: sparse inputs must not allocate offsets or retry indefinitely.
    // A single source sweep completes the sample if random draws miss its data.
    let random_indices =
        (0..FSST_SAMPLETARGET).map(|_| rng.random_range(0..offsets.len()) % (offsets.len() - 1));
    for index in random_indices.chain(0..offsets.len() - 1) {
        let start = offsets[index].as_usize();
        let end = offsets[index + 1].as_usize();
        if start == end {
            continue;
        }
        sample_buf.extend_from_slice(&in_buf[start..end]);
        sample_offsets.push(T::from_usize(sample_buf.len()).unwrap());
        if sample_buf.len() >= FSST_SAMPLETARGET {
            break;
        }
    }
    sample_offsets.push(T::from_usize(sample_buf.len()).unwrap());
    (sample_buf, sample_offsets)
}

// build_symbol_table constructs a symbol table from a sample of the input
fn build_symbol_table<T: OffsetSizeTrait>(
    sample_buf: Vec<u8>,
    sample_offsets: Vec<T>,
) -> io::Result<Box<SymbolTable>> {
    let mut st = SymbolTable::new();
    let mut best_table = SymbolTable::new();
    // worst case (everything exception), will be updated later
    let mut best_gain = T::zero() - T::from_usize(FSST_SAMPLEMAXSZ).unwrap();

    let mut byte_histo = [0; 256];
    for c in &sample_buf {
        byte_histo[*c as usize] += 1;
    }
    let mut curr_min_histo = FSST_SAMPLEMAXSZ;

    for (i, this_byte_histo) in byte_histo.iter().enumerate() {
        if *this_byte_histo < curr_min_histo {
            curr_min_histo = *this_byte_histo;
            st.terminator = i as u16;
        }
    }

    // Compress sample, and compute (pair-)frequencies
    let compress_count = |st: &mut SymbolTable, counters: &mut Counters, sample_frac: usize| -> T {
        counters.clear();
        let mut gain = T::from_usize(0).unwrap();

        for i in 1..sample_offsets.len() {
            if sample_offsets[i] == sample_offsets[i - 1] {
                continue;
            }
            let word = &sample_buf[sample_offsets[i - 1].as_usize()..sample_offsets[i].as_usize()];

            let mut curr = 0;
            let mut curr_code;
            let mut prev_code = st.find_longest_symbol_from_char_slice(&word[curr..]);
            curr += st.symbols[prev_code as usize].symbol_len() as usize;

            // Avoid arithmetic on Option<T>
            let symbol_len = st.symbols[prev_code as usize].symbol_len() as usize;
            let escape_cost = if is_escape_code(prev_code) { 1 } else { 0 };
            let gain_contribution = symbol_len.saturating_sub(1 + escape_cost);
            gain += T::from_usize(gain_contribution).unwrap();

            while curr < word.len() {
                counters.count1_inc(prev_code);
                let symbol_len;

                if st.symbols[prev_code as usize].symbol_len() != 1 {
                    counters.count1_inc(word[curr] as u16);
                }

                if word.len() > 7 && curr < word.len() - 7 {
                    let mut this_64_bit_word: u64 =
                        fsst_unaligned_load_unchecked(word[curr..].as_ptr());
                    let code = this_64_bit_word & 0xFFFFFF;
                    let idx = fsst_hash(code) as usize & (FSST_HASH_TAB_SIZE - 1);
                    let s: Symbol = st.hash_tab[idx];
                    let short_code =
                        st.short_codes[(this_64_bit_word & 0xFFFF) as usize] & FSST_CODE_MASK;
                    let byte_code =
                        st.byte_codes[(this_64_bit_word & 0xFF) as usize] & FSST_CODE_MASK;
                    this_64_bit_word &= 0xFFFFFFFFFFFFFFFF >> s.icl as u8;
                    // docmill: which it is cannot be foretold, so nothing waits for it
                    let found = (s.icl < FSST_ICL_FREE) & (s.val == this_64_bit_word);
                    let (short, short_len) = select_unpredictable(
                        short_code >= FSST_CODE_BASE,
                        (short_code, 2),
                        (byte_code, 1),
                    );
                    (curr_code, symbol_len) =
                        select_unpredictable(found, (s.code(), s.symbol_len()), (short, short_len));
                } else {
                    curr_code = st.find_longest_symbol_from_char_slice(&word[curr..]);
                    symbol_len = st.symbols[curr_code as usize].symbol_len();
                }

                // Avoid arithmetic on Option<T>
                let symbol_len_usize = symbol_len as usize;
                let escape_cost = if is_escape_code(curr_code) { 1 } else { 0 };
                let gain_contribution = symbol_len_usize.saturating_sub(1 + escape_cost);
                gain += T::from_usize(gain_contribution).unwrap();

                // no need to count pairs in final round
                if sample_frac < 128 {
                    // consider the symbol that is the concatenation of the last two symbols
                    counters.count2_inc(prev_code as usize, curr_code as usize);
                    if symbol_len > 1 {
                        counters.count2_inc(prev_code as usize, word[curr] as usize);
                    }
                }
                curr += symbol_len as usize;
                prev_code = curr_code;
            }
            counters.count1_inc(prev_code);
        }
        gain
    };

    let make_table = |st: &mut SymbolTable, counters: &mut Counters, sample_frac: usize| {
        let mut candidates: HashMap<Candidate, QSymbol, BuildHasherDefault<CandidateHasher>> =
            HashMap::with_capacity_and_hasher(counters.pairs.len() + 512, Default::default());

        counters.count1_set(st.terminator as usize, u16::MAX);

        let mut add_or_inc = |s: Symbol, count: u64| {
            if count < (5 * sample_frac as u64) / 128 {
                return;
            }
            let gain = (count * s.symbol_len() as u64) as u32;
            match candidates.entry((s.val, s.symbol_len())) {
                Entry::Occupied(mut old) => old.get_mut().gain += gain,
                Entry::Vacant(free) => {
                    free.insert(QSymbol { symbol: s, gain });
                }
            }
        };

        // add candidate symbols based on counted frequencies
        for pos1 in 0..FSST_CODE_BASE as usize + st.n_symbols as usize {
            let cnt1 = counters.count1_get(pos1);
            if cnt1 == 0 {
                continue;
            }
            // heuristic: promoting single-byte symbols (*8) helps reduce exception rates and increases [de]compression speed
            let s1 = st.symbols[pos1];
            add_or_inc(s1, if s1.symbol_len() == 1 { 8 } else { 1 } * cnt1 as u64);
        }
        if sample_frac < 128 {
            for (pos1, pos2, cnt2) in counters.pairs() {
                let (s1, s2) = (st.symbols[pos1], st.symbols[pos2]);
                // multi-byte symbols cannot contain the terminator byte
                if counters.count1_get(pos1) == 0
                    || s1.symbol_len() == MAX_SYMBOL_LENGTH as u32
                    || s1.first() == st.terminator as u8
                    || s2.first() == st.terminator as u8
                {
                    continue;
                }
                add_or_inc(Symbol::concat(s1, s2), cnt2 as u64);
            }
        }
        let mut pq: BinaryHeap<QSymbol> = candidates.into_values().collect();

        // Create new symbol map using best candidates
        st.clear();
        while st.n_symbols < 255
            && let Some(q) = pq.pop()
        {
            st.add(q.symbol);
        }
    };

    let mut counters = Counters::new();
    for frac in [8, 38, 68, 98, 108, 128] {
        // we do 5 rounds (sampleFrac=8,38,68,98,128)
        let gain = compress_count(&mut st, &mut counters, frac);
        if gain >= best_gain {
            // a new best solution
            best_gain = gain;
            best_table = st.clone();
        }
        make_table(&mut st, &mut counters, frac);
    }
    best_table.finalize(); // renumber codes for more efficient compression
    if best_table.n_symbols == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "Fsst failed to build symbol table, input len: {}, input_offsets len: {}",
                sample_buf.len(),
                sample_offsets.len()
            ),
        ));
    }
    Ok(Box::new(best_table))
}

/// How many parts of a value are compressed in turns: what a symbol is must be known before the next is looked at, so the
/// processor waits for most of a part by itself, and for next to nothing with four.
const LANES: usize = 4;

/// How many bytes of a part are compressed before it is put behind the others.
const LANE_BYTES: usize = 256;

/// Values below this many bytes are compressed in one: each part may cost a code at its end.
const LANES_LEAST: usize = 256;

/// What a part becomes, which is at most twice as long; a power of two, so that no place in it is looked up in vain.
type Lane = [u8; 4 * LANE_BYTES];

/// The code for what a word begins with, in its low 9 bits, and how many bytes that is, from the 12th on.
#[inline(always)]
fn find_code(st: &SymbolTable, word: u64) -> u16 {
    let short_code = st.short_codes[(word & 0xFFFF) as usize];
    let idx = fsst_hash(word & 0xFFFFFF) as usize & (FSST_HASH_TAB_SIZE - 1);
    let s = st.hash_tab[idx];
    let found = (s.icl < FSST_ICL_FREE) & (s.val == (word & (u64::MAX >> (s.icl & 0x3F))));
    select_unpredictable(found, (s.icl >> 16) as u16, short_code)
}

/// Writes the code for what a word begins with, and moves both places.
#[inline(always)]
fn compress_word(
    st: &SymbolTable,
    word: u64,
    pos: &mut usize,
    out: &mut Lane,
    out_pos: &mut usize,
) {
    let code = find_code(st, word);
    out[*out_pos & (size_of::<Lane>() - 1)] = code as u8;
    out[(*out_pos + 1) & (size_of::<Lane>() - 1)] = word as u8; // speculatively write out escaped byte
    *pos += (code >> 12) as usize;
    *out_pos += 1 + ((code & 256) >> 8) as usize;
}

#[inline(always)]
fn word_at(part: &[u8], pos: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*part.get(pos..)?.first_chunk()?))
}

/// Compresses a part from a place of it on, to its end.
fn compress_rest(
    st: &SymbolTable,
    part: &[u8],
    mut pos: usize,
    out: &mut Lane,
    mut out_pos: usize,
) -> usize {
    while let Some(word) = word_at(part, pos) {
        compress_word(st, word, &mut pos, out, &mut out_pos);
    }
    // No symbol has the terminator in it, so none reaches beyond the end.
    let mut end = [st.terminator as u8; 2 * MAX_SYMBOL_LENGTH];
    let left = part.len() - pos;
    end[..left].copy_from_slice(&part[pos..]);
    pos = 0;
    while pos < left {
        let Some(word) = word_at(&end, pos) else {
            break;
        };
        compress_word(st, word, &mut pos, out, &mut out_pos);
    }
    out_pos
}

/// Compresses as many parts as there are lanes, all of one length.
fn compress_parts(
    st: &SymbolTable,
    parts: [&[u8]; LANES],
    out: &mut [Lane; LANES],
) -> [usize; LANES] {
    let (mut pos, mut out_pos) = ([0; LANES], [0; LANES]);
    'turns: loop {
        for lane in 0..LANES {
            let Some(word) = word_at(parts[lane], pos[lane]) else {
                break 'turns;
            };
            compress_word(st, word, &mut pos[lane], &mut out[lane], &mut out_pos[lane]);
        }
    }
    for lane in 0..LANES {
        out_pos[lane] = compress_rest(st, parts[lane], pos[lane], &mut out[lane], out_pos[lane]);
    }
    out_pos
}

fn compress_bulk<T: OffsetSizeTrait>(
    st: &SymbolTable,
    strs: &[u8],
    offsets: &[T],
    out: &mut Vec<u8>,
    out_offsets: &mut Vec<T>,
    out_pos: &mut usize,
    out_offsets_len: &mut usize,
) -> io::Result<()> {
    let mut out_curr = *out_pos;
    let mut lanes = [[0; _]; LANES];
    let mut put = |done: &[u8]| {
        out[out_curr..out_curr + done.len()].copy_from_slice(done);
        out_curr += done.len();
        out_curr
    };

    out_offsets[0] = T::from_usize(*out_pos).unwrap();
    let mut end = *out_pos;
    for i in 1..offsets.len() {
        let mut value = &strs[offsets[i - 1].as_usize()..offsets[i].as_usize()];
        while value.len() >= LANES_LEAST {
            let each = (value.len() / LANES).min(LANE_BYTES);
            let (now, rest) = value.split_at(LANES * each);
            let parts = std::array::from_fn(|lane| &now[lane * each..(lane + 1) * each]);
            let lens = compress_parts(st, parts, &mut lanes);
            for (lane, len) in lanes.iter().zip(lens) {
                end = put(&lane[..len]);
            }
            value = rest;
        }
        if !value.is_empty() {
            let len = compress_rest(st, value, 0, &mut lanes[0], 0);
            end = put(&lanes[0][..len]);
        }
        out_offsets[i] = T::from_usize(end).unwrap();
    }

    out.resize(end, 0); // shrink to actual size
    out_offsets.resize(offsets.len(), T::from_usize(0).unwrap()); // shrink to actual size
    *out_pos = end;
    *out_offsets_len = offsets.len();
    Ok(())
}

fn offset_to_usize<T: OffsetSizeTrait>(offset: T) -> io::Result<usize> {
    offset.to_usize().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "FSST offset (as usize {}) is negative or exceeds {}",
                offset.as_usize(),
                T::MAX_OFFSET
            ),
        )
    })
}

fn validate_offsets<T: OffsetSizeTrait>(offsets: &[T], compressed_len: usize) -> io::Result<()> {
    let Some((first, rest)) = offsets.split_first() else {
        return Ok(());
    };
    let mut previous = offset_to_usize(*first)?;
    if previous > compressed_len {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "FSST offset[0] = {previous} is out of bounds for compressed buffer of length {compressed_len}"
            ),
        ));
    }
    for (index, offset) in rest.iter().enumerate() {
        let current = offset_to_usize(*offset)?;
        let position = index + 1;
        if current < previous {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("FSST offset at position {position} decreases: {current} < {previous}"),
            ));
        }
        if current > compressed_len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "FSST offset at position {position} = {current} is out of bounds for compressed buffer of length {compressed_len}"
                ),
            ));
        }
        previous = current;
    }
    Ok(())
}

fn encode_offset<T: OffsetSizeTrait>(value: usize) -> io::Result<T> {
    T::from_usize(value).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("FSST decompressed size {value} does not fit in the offset type"),
        )
    })
}

#[inline(always)]
fn write_symbol(out: &mut [u8], out_curr: usize, symbol: u64) {
    debug_assert!(
        out_curr.checked_add(8).is_some_and(|end| end <= out.len()),
        "FSST symbol write at {out_curr} overflows buffer of length {}",
        out.len()
    );
    // SAFETY: `FsstDecoder::init` rejected any declared `lens[i]` outside 1..=8 and left
    // undeclared slots at 0, so every code advances `out_curr` by at most 8. Combined with
    // the 8x output-buffer check, `out_curr + 8 <= out.len()` holds for every write.
    unsafe {
        ptr::write_unaligned(out.as_mut_ptr().add(out_curr) as *mut u64, symbol);
    }
}

fn store_out_byte(out: &mut [u8], out_curr: usize, byte: u8) {
    debug_assert!(
        out_curr < out.len(),
        "FSST literal write at {out_curr} overflows buffer of length {}",
        out.len()
    );
    // SAFETY: same 8x + `lens[code] <= 8` proof as `write_symbol`. A literal
    // writes one byte at `out_curr` after a run that advanced by at most 8
    // bytes per consumed input byte.
    unsafe {
        *out.get_unchecked_mut(out_curr) = byte;
    }
}

/// Consume `FSST_ESC` at `in_curr` and emit its payload byte.
///
/// Returns `false` when the payload would leave the current value interval
/// `[in_curr, in_end)`, including a dangling escape at the last byte.
#[inline(always)]
fn emit_escape(
    compressed_strs: &[u8],
    in_curr: &mut usize,
    in_end: usize,
    out: &mut [u8],
    out_curr: &mut usize,
) -> bool {
    let payload_index = *in_curr + 1;
    if payload_index >= in_end {
        return false;
    }
    store_out_byte(out, *out_curr, compressed_strs[payload_index]);
    *out_curr += 1;
    *in_curr += 2;
    true
}

fn missing_escape_payload_error() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "FSST escape is missing a payload byte inside the current value",
    )
}

fn decompress_bulk<T: OffsetSizeTrait>(
    decoder: &FsstDecoder<T>,
    compressed_strs: &[u8],
    offsets: &[T],
    out: &mut Vec<u8>,
    out_offsets: &mut Vec<T>,
    out_pos: &mut usize,
    out_offsets_len: &mut usize,
) -> io::Result<()> {
    validate_offsets(offsets, compressed_strs.len())?;

    let symbols = decoder.symbols;
    let lens = decoder.lens;
    // SAFETY invariant shared by every `unsafe` block in this closure:
    // - `out` is sized to at least 8x `compressed_strs` (checked in `FsstDecoder::init`).
    //   `init` also rejects any declared symbol length outside 1..=8, so each consumed
    //   input byte yields at most 8 output bytes and `out_curr + 8 <= out.len()` at every
    //   8-byte write, including the final one.
    // - Offsets have been normalized with `to_usize` and checked to be non-decreasing
    //   and within `compressed_strs.len()`, so `in_curr + 4 <= in_end` implies the
    //   `read_unaligned::<u32>` is in bounds.
    let corrupt_escape = Cell::new(false);
    let mut decompress = |mut in_curr: usize, in_end: usize, out_curr: &mut usize| {
        // Do SIMD operation here by 4 bytes
        while in_curr + 4 <= in_end {
            let next_block;
            let mut code;
            let mut len;
            // SAFETY: the loop guard proves `in_curr + 4 <= in_end`. Per the closure-level
            // invariant, `in_end <= compressed_strs.len()` is a trusted precondition (not checked
            // here), so the 4-byte read is in bounds for well-formed input.
            unsafe {
                next_block =
                    ptr::read_unaligned(compressed_strs.as_ptr().add(in_curr) as *const u32);
            }
            let escape_mask = (next_block & 0x80808080u32)
                & ((((!next_block) & 0x7F7F7F7Fu32) + 0x7F7F7F7Fu32) ^ 0x80808080u32);
            if escape_mask == 0 {
                // 0th byte
                code = compressed_strs[in_curr] as usize;
                len = lens[code] as usize;
                write_symbol(out, *out_curr, symbols[code]);
                in_curr += 1;
                *out_curr += len;

                // 1st byte
                code = compressed_strs[in_curr] as usize;
                len = lens[code] as usize;
                write_symbol(out, *out_curr, symbols[code]);
                in_curr += 1;
                *out_curr += len;

                // 2nd byte
                code = compressed_strs[in_curr] as usize;
                len = lens[code] as usize;
                write_symbol(out, *out_curr, symbols[code]);
                in_curr += 1;
                *out_curr += len;

                // 3rd byte
                code = compressed_strs[in_curr] as usize;
                len = lens[code] as usize;
                write_symbol(out, *out_curr, symbols[code]);
                in_curr += 1;
                *out_curr += len;
            } else {
                let first_escape_pos = escape_mask.trailing_zeros() >> 3;
                if first_escape_pos == 3 {
                    // 0th byte
                    code = compressed_strs[in_curr] as usize;
                    len = lens[code] as usize;
                    write_symbol(out, *out_curr, symbols[code]);
                    in_curr += 1;
                    *out_curr += len;

                    // 1st byte
                    code = compressed_strs[in_curr] as usize;
                    len = lens[code] as usize;
                    write_symbol(out, *out_curr, symbols[code]);
                    in_curr += 1;
                    *out_curr += len;

                    // 2nd byte
                    code = compressed_strs[in_curr] as usize;
                    len = lens[code] as usize;
                    write_symbol(out, *out_curr, symbols[code]);
                    in_curr += 1;
                    *out_curr += len;

                    // ESC is the last byte of this 4-byte window; its payload is the next
                    // byte and may lie outside the current value.
                    if !emit_escape(compressed_strs, &mut in_curr, in_end, out, out_curr) {
                        corrupt_escape.set(true);
                        return;
                    }
                } else if first_escape_pos == 2 {
                    // 0th byte
                    code = compressed_strs[in_curr] as usize;
                    len = lens[code] as usize;
                    write_symbol(out, *out_curr, symbols[code]);
                    in_curr += 1;
                    *out_curr += len;

                    // 1st byte
                    code = compressed_strs[in_curr] as usize;
                    len = lens[code] as usize;
                    write_symbol(out, *out_curr, symbols[code]);
                    in_curr += 1;
                    *out_curr += len;

                    // payload is inside the 4-byte window (`in_curr + 4 <= in_end`)
                    in_curr += 2;
                    store_out_byte(out, *out_curr, compressed_strs[in_curr - 1]);
                    *out_curr += 1;
                } else if first_escape_pos == 1 {
                    // 0th byte
                    code = compressed_strs[in_curr] as usize;
                    len = lens[code] as usize;
                    write_symbol(out, *out_curr, symbols[code]);
                    in_curr += 1;
                    *out_curr += len;

                    in_curr += 2;
                    store_out_byte(out, *out_curr, compressed_strs[in_curr - 1]);
                    *out_curr += 1;
                } else {
                    in_curr += 2;
                    store_out_byte(out, *out_curr, compressed_strs[in_curr - 1]);
                    *out_curr += 1;
                }
            }
        }

        while in_curr < in_end {
            if compressed_strs[in_curr] == FSST_ESC {
                if !emit_escape(compressed_strs, &mut in_curr, in_end, out, out_curr) {
                    corrupt_escape.set(true);
                    return;
                }
            } else {
                let code = compressed_strs[in_curr] as usize;
                write_symbol(out, *out_curr, symbols[code]);
                in_curr += 1;
                *out_curr += lens[code] as usize;
            }
        }
    };

    let mut out_curr = *out_pos;
    if offsets.is_empty() {
        out.resize(out_curr, 0);
        out_offsets.clear();
        *out_offsets_len = 0;
        return Ok(());
    }

    out_offsets[0] = encode_offset(*out_pos)?;
    for i in 1..offsets.len() {
        // `validate_offsets` already proved these convert and stay in range.
        let in_curr = offsets[i - 1].as_usize();
        let in_end = offsets[i].as_usize();
        decompress(in_curr, in_end, &mut out_curr);
        if corrupt_escape.get() {
            return Err(missing_escape_payload_error());
        }
        out_offsets[i] = encode_offset(out_curr)?;
    }
    out.resize(out_curr, 0);
    out_offsets.resize(offsets.len(), encode_offset(0)?);
    *out_pos = out_curr;
    *out_offsets_len = offsets.len();
    Ok(())
}

struct FsstEncoder<T: OffsetSizeTrait> {
    symbol_table: Box<SymbolTable>,
    // when in_buf is less than FSST_LEAST_INPUT_SIZE, we simply copy the input to the output
    encoder_switch: bool,
    _phantom: PhantomData<T>,
}

impl<T: OffsetSizeTrait> FsstEncoder<T> {
    fn new() -> Self {
        Self {
            symbol_table: Box::new(SymbolTable::new()),
            encoder_switch: false,
            _phantom: PhantomData,
        }
    }

    fn init(
        &mut self,
        in_buf: &[u8],
        in_offsets_buf: &[T],
        out_buf: &[u8],
        out_offsets_buf: &[T],
        symbol_table: &[u8],
    ) -> io::Result<()> {
        // should we have a symbol_table MAGIC footer here?
        if symbol_table.len() != FSST_SYMBOL_TABLE_SIZE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the symbol table buffer for FSST encoder must have size {}",
                    FSST_SYMBOL_TABLE_SIZE
                ),
            ));
        }

        if in_buf.len() < FSST_LEAST_INPUT_SIZE {
            return Ok(());
        }

        // currently, we make sure the compression output buffer has at least the same size as the input buffer,
        if in_buf.len() > out_buf.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "output buffer ({}) too small for FSST encoder (need at least {})",
                    out_buf.len(),
                    in_buf.len()
                ),
            ));
        }
        if in_offsets_buf.len() > out_offsets_buf.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "output offsets buffer ({}) too small for FSST encoder (need at least {})",
                    out_offsets_buf.len(),
                    in_offsets_buf.len()
                ),
            ));
        }

        self.encoder_switch = true;
        let (sample, sample_offsets) =
            make_sample(in_buf, in_offsets_buf, &mut StdRng::from_os_rng());
        let st = build_symbol_table(sample, sample_offsets)?;
        self.symbol_table = st;
        Ok(())
    }

    fn export(&self, symbol_table_buf: &mut [u8]) -> io::Result<()> {
        let st = &self.symbol_table;

        let st_info: u64 = FSST_MAGIC
            | ((self.encoder_switch as u64) << 24)
            | (((st.suffix_lim & 255) as u64) << 16)
            | (((st.terminator & 255) as u64) << 8)
            | ((st.n_symbols & 255) as u64);

        let st_info_bytes = st_info.to_ne_bytes();
        let mut pos = 0;
        symbol_table_buf[pos..pos + st_info_bytes.len()].copy_from_slice(&st_info_bytes);

        pos += st_info_bytes.len();

        for i in 0..st.n_symbols as usize {
            let s = st.symbols[i];
            let s_bytes = s.val.to_ne_bytes();
            symbol_table_buf[pos..pos + s_bytes.len()].copy_from_slice(&s_bytes);
            pos += s_bytes.len();
        }
        for i in 0..st.n_symbols as usize {
            let this_len = st.symbols[i].symbol_len();
            symbol_table_buf[pos] = this_len as u8;
            pos += 1;
        }
        Ok(())
    }

    fn compress(
        &mut self,
        in_buf: &[u8],
        in_offsets_buf: &[T],
        out_buf: &mut Vec<u8>,
        out_offsets_buf: &mut Vec<T>,
        symbol_table_buf: &mut [u8],
    ) -> io::Result<()> {
        self.init(
            in_buf,
            in_offsets_buf,
            out_buf,
            out_offsets_buf,
            symbol_table_buf,
        )?;
        self.export(symbol_table_buf)?;

        // if the input buffer is less than FSST_LEAST_INPUT_SIZE, we simply copy the input to the output
        if !self.encoder_switch {
            out_buf.resize(in_buf.len(), 0);
            out_buf.copy_from_slice(in_buf);
            out_offsets_buf.resize(in_offsets_buf.len(), T::from_usize(0).unwrap());
            out_offsets_buf.copy_from_slice(in_offsets_buf);
            return Ok(());
        }
        let mut out_pos = 0;
        let mut out_offsets_len = 0;
        compress_bulk(
            &self.symbol_table,
            in_buf,
            in_offsets_buf,
            out_buf,
            out_offsets_buf,
            &mut out_pos,
            &mut out_offsets_len,
        )?;
        Ok(())
    }
}

const FSST_CORRUPT: u64 = 32774747032022883; // 7-byte number in little endian containing "corrupt"
struct FsstDecoder<T: OffsetSizeTrait> {
    lens: [u8; 256],
    symbols: [u64; 256],
    decoder_switch_on: bool,
    _phantom: PhantomData<T>,
}

impl<T: OffsetSizeTrait> FsstDecoder<T> {
    fn new() -> Self {
        Self {
            lens: [0; 256],
            symbols: [FSST_CORRUPT; 256],
            decoder_switch_on: false,
            _phantom: PhantomData,
        }
    }

    fn init(
        &mut self,
        symbol_table: &[u8],
        in_buf: &[u8],
        in_offsets_buf: &[T],
        out_buf: &[u8],
        out_offsets_buf: &[T],
    ) -> io::Result<()> {
        if symbol_table.len() != FSST_SYMBOL_TABLE_SIZE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the symbol table buffer for FSST decoder must have size {}",
                    FSST_SYMBOL_TABLE_SIZE
                ),
            ));
        }

        let st_info = u64::from_ne_bytes(symbol_table[..8].try_into().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "FSST symbol table is too short to contain a header",
            )
        })?);
        if st_info & FSST_MAGIC != FSST_MAGIC {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the input buffer is not a valid FSST compressed data",
            ));
        }

        self.decoder_switch_on = (st_info & (1 << 24)) != 0;
        // A single 1-byte code can decode to a symbol of up to MAX_SYMBOL_LENGTH (8) bytes, so the
        // decoded output can be up to 8x the input. `decompress_bulk` also relies on this bound: it
        // writes a full 8-byte word per code (advancing only by the symbol length), so the output
        // buffer must be large enough that even the final write stays in bounds. Require out_buf to
        // be at least 8x in_buf. `checked_mul` guards against `in_buf.len() * 8` wrapping on 32-bit
        // targets (an input >= 512 MiB would otherwise bypass the check); treat overflow as too
        // small.
        if self.decoder_switch_on
            && in_buf
                .len()
                .checked_mul(8)
                .is_none_or(|needed| needed > out_buf.len())
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "output buffer too small for FSST decoder",
            ));
        }

        // when decoder_switch_on is false, we make sure the out_buf is at least the same size of the in_buf,
        if !self.decoder_switch_on && in_buf.len() > out_buf.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "output buffer too small for FSST decoder",
            ));
        }

        if in_offsets_buf.len() > out_offsets_buf.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "output offsets buffer ({}) too small for FSST decoder (need at least {})",
                    out_offsets_buf.len(),
                    in_offsets_buf.len()
                ),
            ));
        }
        let symbol_num = (st_info & 255) as u8;
        let mut pos = 8;
        for i in 0..symbol_num as usize {
            self.symbols[i] = fsst_unaligned_load_unchecked(symbol_table[pos..].as_ptr());
            pos += 8;
        }
        for i in 0..symbol_num as usize {
            let len = symbol_table[pos];
            if !(1..=MAX_SYMBOL_LENGTH as u8).contains(&len) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "FSST symbol length at index {i} is {len}, expected 1..={MAX_SYMBOL_LENGTH}"
                    ),
                ));
            }
            self.lens[i] = len;
            pos += 1;
        }
        Ok(())
    }

    fn decompress(
        &mut self,
        in_buf: &[u8],
        in_offsets_buf: &[T],
        out_buf: &mut Vec<u8>,
        out_offsets_buf: &mut Vec<T>,
    ) -> io::Result<()> {
        if !self.decoder_switch_on {
            validate_offsets(in_offsets_buf, in_buf.len())?;
            out_buf.resize(in_buf.len(), 0);
            out_buf.copy_from_slice(in_buf);
            out_offsets_buf.resize(in_offsets_buf.len(), T::from_usize(0).unwrap());
            out_offsets_buf.copy_from_slice(in_offsets_buf);
            return Ok(());
        }
        let mut out_pos = 0;
        let mut out_offsets_len = 0;
        decompress_bulk(
            self,
            in_buf,
            in_offsets_buf,
            out_buf,
            out_offsets_buf,
            &mut out_pos,
            &mut out_offsets_len,
        )?;
        Ok(())
    }
}

/// This is the public API for the FSST compression, when the in_buf is less than FSST_LEAST_INPUT_SIZE, we put the FSST_MAGIC header and then copy the input to the output
/// we check to make sure the out_buf's size is at least the same as the in_buf's size, otherwise Err is returned, this is actually
/// risky as in some randomly generated data, the output size can be larger than the input size.
/// the out_offsets_buf should be at least the same size as the in_offsets_buf, otherwise Err is returned
/// the symbol_table is used to store the symbol table created by `compression`, it's size should be FSST_SYMBOL_TABLE_SIZE
/// after compression, the first 64 bits of the output buffer is the fsst header:
/// from most significant bit to least significant bit:
/// FSST_MAGIC| encoder_switch |    suffix_lim | terminator | n_symbols
/// | 32-bits |         8 bits |        8 bits |     8 bits | 8 bits
/// then followed by the compressed data
///
pub fn compress<T: OffsetSizeTrait>(
    symbol_table: &mut [u8],
    in_buf: &[u8],
    in_offsets_buf: &[T],
    out_buf: &mut Vec<u8>,
    out_offsets_buf: &mut Vec<T>,
) -> io::Result<()> {
    FsstEncoder::new().compress(
        in_buf,
        in_offsets_buf,
        out_buf,
        out_offsets_buf,
        symbol_table,
    )?;
    Ok(())
}
// This is the public API for the FSST decompression, when the first 32 bits of in_buf is not the FSST_MAGIC, we know the input is not a
// valid FSST compressed data and return an error
// the following 32 bits after FSST_MAGIC contains information about FSST encoding, such as decoder_switch_on, suffix_lim, terminator, n_symbols
// when the decoder_switch_on is off in the in_buf header, `decompress` first make sure the out_buf is at least the same size as the in_buf, then simply copy the
// input data to the output
// when the decoder_switch_on is on, `decompress` first make sure the out_buf is at least 8 times the size of the in_buf, then start decoding the
// data using the symbol table. The 8x bound is required for correctness: a 1-byte code can expand to
// an 8-byte symbol, and the decode loop writes a full 8-byte word per code, so a smaller buffer can
// be written out of bounds.
// the out_offsets_buf should be at least the same size as the in_offsets_buf, otherwise an error is returned
// the symbol_table, compressed bytes, and offsets are untrusted: declared symbol lengths must be
// 1..=8 and offsets must be a non-decreasing sequence of values that fit in usize and lie within
// the compressed buffer. Corrupt input returns InvalidData instead of writing out of bounds.
// the symbol_table is the same symbol table created by `compression`
pub fn decompress<T: OffsetSizeTrait>(
    symbol_table: &[u8],
    in_buf: &[u8],
    in_offsets_buf: &[T],
    out_buf: &mut Vec<u8>,
    out_offsets_buf: &mut Vec<T>,
) -> io::Result<()> {
    let mut decoder = FsstDecoder::new();
    decoder.init(
        symbol_table,
        in_buf,
        in_offsets_buf,
        out_buf,
        out_offsets_buf,
    )?;
    decoder.decompress(in_buf, in_offsets_buf, out_buf, out_offsets_buf)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::fsst::*;
    use arrow_array::StringArray;

    const TEST_PARAGRAPH: &str = "ACT I. Scene I.
    Elsinore. A platform before the Castle.

    Enter two Sentinels-[first,] Francisco, [who paces up and down
    at his post; then] Bernardo, [who approaches him].

        Ber. Who's there.?
        Fran. Nay, answer me. Stand and unfold yourself.
        Ber. Long live the King!
        Fran. Bernardo?
        Ber. He.
        Fran. You come most carefully upon your hour.
        Ber. 'Tis now struck twelve. Get thee to bed, Francisco.
        Fran. For this relief much thanks. 'Tis bitter cold,
        And I am sick at heart.
        Ber. Have you had quiet guard?
        Fran. Not a mouse stirring.
        Ber. Well, good night.
        If you do meet Horatio and Marcellus,
        The rivals of my watch, bid them make haste.
        Enter Horatio and Marcellus.

        Fran. I think I hear them. Stand, ho! Who is there?
        Hor. Friends to this ground.
        Mar. And liegemen to the Dane.
        Fran. Give you good night.
        Mar. O, farewell, honest soldier.
            Who hath reliev'd you?
        Fran. Bernardo hath my place.
            Give you good night.                                   Exit.
        Mar. Holla, Bernardo!
        Ber. Say-
            What, is Horatio there ?
        Hor. A piece of him.
        Ber. Welcome, Horatio. Welcome, good Marcellus.
        Mar. What, has this thing appear'd again to-night?
        Ber. I have seen nothing.
        Mar. Horatio says 'tis but our fantasy,
            And will not let belief take hold of him
            Touching this dreaded sight, twice seen of us.
            Therefore I have entreated him along,
            With us to watch the minutes of this night,
            That, if again this apparition come,
            He may approve our eyes and speak to it.
        Hor. Tush, tush, 'twill not appear.
        Ber. Sit down awhile,
            And let us once again assail your ears,
            That are so fortified against our story,
            What we two nights have seen.
        Hor. Well, sit we down,
            And let us hear Bernardo speak of this.
        Ber. Last night of all,
            When yond same star that's westward from the pole
            Had made his course t' illume that part of heaven
            Where now it burns, Marcellus and myself,
            The bell then beating one-

                                Enter Ghost.

        Mar. Peace! break thee off! Look where it comes again!
        Ber. In the same figure, like the King that's dead.
        Mar. Thou art a scholar; speak to it, Horatio.
        Ber. Looks it not like the King? Mark it, Horatio.
        Hor. Most like. It harrows me with fear and wonder.
        Ber. It would be spoke to.
        Mar. Question it, Horatio.
        Hor. What art thou that usurp'st this time of night
            Together with that fair and warlike form
            In which the majesty of buried Denmark
            Did sometimes march? By heaven I charge thee speak!
        Mar. It is offended.
        Ber. See, it stalks away!
        Hor. Stay! Speak, speak! I charge thee speak!
                                                            Exit Ghost.
        Mar. 'Tis gone and will not answer.
        Ber. How now, Horatio? You tremble and look pale.
            Is not this something more than fantasy?
            What think you on't?
        Hor. Before my God, I might not this believe
            Without the sensible and true avouch
            Of mine own eyes.
        Mar. Is it not like the King?
        Hor. As thou art to thyself.
            Such was the very armour he had on
            When he th' ambitious Norway combated.
            So frown'd he once when, in an angry parle,
            He smote the sledded Polacks on the ice.
            'Tis strange.
        Mar. Thus twice before, and jump at this dead hour,
            With martial stalk hath he gone by our watch.
        Hor. In what particular thought to work I know not;
            But, in the gross and scope of my opinion,
            This bodes some strange eruption to our state.
        Mar. Good now, sit down, and tell me he that knows,
            Why this same strict and most observant watch
            So nightly toils the subject of the land,
            And why such daily cast of brazen cannon
            And foreign mart for implements of war;
            Why such impress of shipwrights, whose sore task
            Does not divide the Sunday from the week.
            What might be toward, that this sweaty haste
            Doth make the night joint-labourer with the day?
            Who is't that can inform me?";

    const TEST_PARAGRAPH2: &str = "Towards the end of November, during a thaw, at nine o’clock one morning, a train on the Warsaw and Petersburg railway was approaching the latter city at full speed.
The morning was so damp and misty that it was only with great difficulty that the day succeeded in breaking;
and it was impossible to distinguish anything more than a few yards away from the carriage windows.
Some of the passengers by this particular train were returning from abroad; but the third-class carriages were the best filled, chiefly with insignificant persons of various occupations and degrees,
picked up at the different stations nearer town.
All of them seemed weary, and most of them had sleepy eyes and a shivering expression, while their complexions generally appeared to have taken on the colour of the fog outside.
When day dawned, two passengers in one of the third-class carriages found themselves opposite each other. Both were young fellows, both were rather poorly dressed, both had remarkable faces,
and both were evidently anxious to start a conversation.
If they had but known why, at this particular moment, they were both remarkable persons, they would undoubtedly have wondered at the strange chance which had set them down opposite to one another in a third-class carriage of the Warsaw Railway Company.
One of them was a young fellow of about twenty-seven, not tall, with black curling hair, and small, grey, fiery eyes. His nose was broad and flat, and he had high cheek bones; his thin lips were constantly compressed into an impudent,
ironical—it might almost be called a malicious—smile;
but his forehead was high and well formed, and atoned for a good deal of the ugliness of the lower part of his face.
A special feature of this physiognomy was its death-like pallor, which gave to the whole man an indescribably emaciated appearance in spite of his hard look,
and at the same time a sort of passionate and suffering expression which did not harmonize with his impudent,
sarcastic smile and keen, self-satisfied bearing.
He wore a large fur—or rather astrachan—overcoat, which had kept him warm all night, while his neighbour had been obliged to bear the full severity of a Russian November night entirely unprepared.
His wide sleeveless mantle with a large cape to it—the sort of cloak one sees upon travellers during the winter months in Switzerland or North Italy—was by no means adapted to the long cold journey through Russia, from Eydkuhnen to St. Petersburg.
The wearer of this cloak was a young fellow, also of about twenty-six or twenty-seven years of age, slightly above the middle height, very fair, with a thin, pointed and very light coloured beard;
his eyes were large and blue, and had an intent look about them, yet that heavy expression which some people affirm to be a peculiarity as well as evidence, of an epileptic subject.
His face was decidedly a pleasant one for all that; refined, but quite colourless, except for the circumstance that at this moment it was blue with cold.
He held a bundle made up of an old faded silk handkerchief that apparently contained all his travelling wardrobe, and wore thick shoes and gaiters, his whole appearance being very un-Russian.
His black-haired neighbour inspected these peculiarities, having nothing better to do, and at length remarked, with that rude enjoyment of the discomforts of others which the common classes so often show:
“Cold?”
“Very,” said his neighbour, readily, “and this is a thaw, too. Fancy if it had been a hard frost! I never thought it would be so cold in the old country. I’ve grown quite out of the way of it.”
“What, been abroad, I suppose?”
“Yes, straight from Switzerland.”
“Wheugh! my goodness!” The black-haired young fellow whistled, and then laughed.
The conversation proceeded. The readiness of the fair-haired young man in the cloak to answer all his opposite neighbour’s questions was surprising.
He seemed to have no suspicion of any impertinence or inappropriateness in the fact of such questions being put to him.
Replying to them, he made known to the inquirer that he certainly had been long absent from Russia, more than four years; that he had been sent abroad for his health;
that he had suffered from some strange nervous malady—a kind of epilepsy, with convulsive spasms. His interlocutor burst out laughing several times at his answers; and more than ever, when to the question, “whether he had been cured?” the patient replied:
“No, they did not cure me.”
“Hey! that’s it! You stumped up your money for nothing, and we believe in those fellows, here!” remarked the black-haired individual, sarcastically.";

    const TEST_PARAGRAPH3: &str = "When the widow hurried away to Pavlofsk, she went straight to Daria Alexeyevna’s house, and telling all she knew, threw her into a state of great alarm.
Both ladies decided to communicate at once with Lebedeff, who, as the friend and landlord of the prince, was also much agitated.
Vera Lebedeff told all she knew, and by Lebedeff’s advice it was decided that all three should go to Petersburg as quickly as possible, in order to avert “what might so easily happen.”
This is how it came about that at eleven o’clock next morning Rogojin’s flat was opened by the police in the presence of Lebedeff, the two ladies, and Rogojin’s own brother, who lived in the wing.
The evidence of the porter went further than anything else towards the success of Lebedeff in gaining the assistance of the police.
He declared that he had seen Rogojin return to the house last night, accompanied by a friend, and that both had gone upstairs very secretly and cautiously.
After this there was no hesitation about breaking open the door, since it could not be got open in any other way.
Rogojin suffered from brain fever for two months. When he recovered from the attack he was at once brought up on trial for murder.
He gave full, satisfactory, and direct evidence on every point; and the prince’s name was, thanks to this, not brought into the proceedings.
Rogojin was very quiet during the progress of the trial. He did not contradict his clever and eloquent counsel, who argued that the brain fever,
or inflammation of the brain, was the cause of the crime; clearly proving that this malady had existed long before the murder was perpetrated, and had been brought on by the sufferings of the accused.
But Rogojin added no words of his own in confirmation of this view, and as before, he recounted with marvellous exactness the details of his crime.
He was convicted, but with extenuating circumstances, and condemned to hard labour in Siberia for fifteen years. He heard his sentence grimly, silently, and thoughtfully. His colossal fortune,
with the exception of the comparatively small portion wasted in the first wanton period of his inheritance, went to his brother, to the great satisfaction of the latter.
The old lady, Rogojin’s mother, is still alive, and remembers her favourite son Parfen sometimes, but not clearly. God spared her the knowledge of this dreadful calamity which had overtaken her house.
Lebedeff, Keller, Gania, Ptitsin, and many other friends of ours continue to live as before. There is scarcely any change in them, so that there is no need to tell of their subsequent doings.
Hippolyte died in great agitation, and rather sooner than he expected, about a fortnight after Nastasia Philipovna’s death. Colia was much affected by these events,
and drew nearer to his mother in heart and sympathy. Nina Alexandrovna is anxious, because he is “thoughtful beyond his years,” but he will, we think, make a useful and active man.
The prince’s further fate was more or less decided by Colia, who selected, out of all the persons he had met during the last six or seven months, Evgenie Pavlovitch, as friend and confidant.
To him he made over all that he knew as to the events above recorded, and as to the present condition of the prince. He was not far wrong in his choice.
Evgenie Pavlovitch took the deepest interest in the fate of the unfortunate “idiot,” and, thanks to his influence, the prince found himself once more with Dr. Schneider, in Switzerland.
Evgenie Pavlovitch, who went abroad at this time, intending to live a long while on the continent, being, as he often said, quite superfluous in Russia, visits his sick friend at Schneider’s every few months.
But Dr. Schneider frowns ever more and more and shakes his head; he hints that the brain is fatally injured; he does not as yet declare that his patient is incurable, but he allows himself to express the gravest fears.
Evgenie takes this much to heart, and he has a heart, as is proved by the fact that he receives and even answers letters from Colia. But besides this,
another trait in his character has become apparent, and as it is a good trait we will make haste to reveal it.
After each visit to Schneider’s establishment, Evgenie Pavlovitch writes another letter, besides that to Colia, giving the most minute particulars concerning the invalid’s condition.
In these letters is to be detected, and in each one more than the last, a growing feeling of friendship and sympathy.
The individual who corresponds thus with Evgenie Pavlovitch, and who engages so much of his attention and respect, is Vera Lebedeff.
We have never been able to discover clearly how such relations sprang up.
Of course the root of them was in the events which we have already recorded, and which so filled Vera with grief on the prince’s account that she fell seriously ill.
But exactly how the acquaintance and friendship came about, we cannot say.";

    /// Always selects the empty first row for the power-of-two offset count
    /// below, and fails promptly if the sampler exceeds its random-draw bound.
    struct EmptyDraws {
        draws: usize,
    }

    impl rand::RngCore for EmptyDraws {
        fn next_u32(&mut self) -> u32 {
            self.next_u64() as u32
        }

        fn next_u64(&mut self) -> u64 {
            self.draws += 1;
            assert!(self.draws <= FSST_SAMPLETARGET);
            u64::MAX
        }

        fn fill_bytes(&mut self, dest: &mut [u8]) {
            for chunk in dest.chunks_mut(8) {
                let bytes = self.next_u64().to_le_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
            }
        }
    }

    #[test]
    fn test_sample_preserves_small_and_empty_inputs() {
        for input in [Vec::new(), vec![b'x'; FSST_SAMPLETARGET]] {
            let offsets = [0_i32, 0, input.len() as i32, input.len() as i32];
            let mut rng = EmptyDraws { draws: 0 };
            let (sample, sample_offsets) = make_sample(&input, &offsets, &mut rng);
            assert_eq!(sample, input);
            assert_eq!(sample_offsets, offsets);
            assert_eq!(rng.draws, 0);
        }
    }

    #[test]
    fn test_sparse_sample_is_bounded_and_roundtrips() {
        sparse_sample_roundtrip::<i32>();
        sparse_sample_roundtrip::<i64>();
    }

    fn sparse_sample_roundtrip<T: OffsetSizeTrait>() {
        let input = vec![b'x'; FSST_LEAST_INPUT_SIZE];
        // 62 empty values followed by one nonempty value; 64 offsets make
        // every degenerate random draw above select the empty first value.
        let mut offsets = vec![T::zero(); 64];
        offsets[63] = T::from_usize(input.len()).unwrap();
        let mut rng = EmptyDraws { draws: 0 };
        let (sample, sample_offsets) = make_sample(&input, &offsets, &mut rng);
        assert_eq!(rng.draws, FSST_SAMPLETARGET);
        assert_eq!(sample, input);
        assert_eq!(sample_offsets, [T::zero(), offsets[63], offsets[63]]);
        assert!(sample_offsets.capacity() <= FSST_SAMPLETARGET + 2);

        let mut symbols = [0; FSST_SYMBOL_TABLE_SIZE];
        let mut compressed = vec![0; input.len()];
        let mut compressed_offsets = vec![T::zero(); offsets.len()];
        compress(
            &mut symbols,
            &input,
            &offsets,
            &mut compressed,
            &mut compressed_offsets,
        )
        .unwrap();
        let mut decoded = vec![0; compressed.len() * 8];
        let mut decoded_offsets = vec![T::zero(); offsets.len()];
        decompress(
            &symbols,
            &compressed,
            &compressed_offsets,
            &mut decoded,
            &mut decoded_offsets,
        )
        .unwrap();
        assert_eq!(decoded_offsets, offsets);
        assert_eq!(&decoded[..input.len()], input);
    }

    #[test_log::test(tokio::test)]
    async fn test_symbol_new() {
        let st = SymbolTable::new();
        assert!(st.n_symbols == 0);
        for i in 0..=255_u8 {
            assert!(st.symbols[i as usize] == Symbol::from_char(i, i as u16));
        }
        let s = Symbol::from_char(1, 1);
        assert!(s == st.symbols[1]);
        for i in 0..FSST_HASH_TAB_SIZE {
            assert!(st.hash_tab[i] == Symbol::new());
        }
    }

    #[test_log::test(tokio::test)]
    async fn test_fsst() {
        let test_input_size = 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH.len();
        let test_input = TEST_PARAGRAPH.repeat(repeat_num);
        helper(&test_input);

        let test_input_size = 2 * 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH.len();
        let test_input = TEST_PARAGRAPH.repeat(repeat_num);
        helper(&test_input);

        let test_input_size = 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH2.len();
        let test_input = TEST_PARAGRAPH.repeat(repeat_num);
        helper(&test_input);

        let test_input_size = 2 * 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH2.len();
        let test_input = TEST_PARAGRAPH2.repeat(repeat_num);
        helper(&test_input);

        let test_input_size = 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH3.len();
        let test_input = TEST_PARAGRAPH3.repeat(repeat_num); // Also corrected `repea_num` to `repeat_num`
        helper(&test_input);

        let test_input_size = 2 * 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH3.len();
        let test_input = TEST_PARAGRAPH3.repeat(repeat_num); // Also corrected `repea_num` to `repeat_num`
        helper(&test_input);
    }

    fn helper(test_input: &str) {
        let lines_vec = test_input.lines().collect::<Vec<&str>>();
        let string_array = StringArray::from(lines_vec);
        let mut compress_output_buf: Vec<u8> = vec![0; string_array.value_data().len()];
        let mut compress_offset_buf: Vec<i32> = vec![0; string_array.value_offsets().len()];
        let mut symbol_table = [0; FSST_SYMBOL_TABLE_SIZE];
        compress(
            symbol_table.as_mut(),
            string_array.value_data(),
            string_array.value_offsets(),
            &mut compress_output_buf,
            &mut compress_offset_buf,
        )
        .unwrap();
        let mut decompress_output: Vec<u8> = vec![0; compress_output_buf.len() * 8];
        let mut decompress_offsets: Vec<i32> = vec![0; compress_offset_buf.len()];
        decompress(
            &symbol_table,
            &compress_output_buf,
            &compress_offset_buf,
            &mut decompress_output,
            &mut decompress_offsets,
        )
        .unwrap();
        for i in 1..decompress_offsets.len() {
            let s = &decompress_output
                [decompress_offsets[i - 1] as usize..decompress_offsets[i] as usize];
            let original = &string_array.value_data()[string_array.value_offsets().to_vec()[i - 1]
                as usize
                ..string_array.value_offsets().to_vec()[i] as usize];
            assert!(
                s == original,
                "s: {:?}\n\n, original: {:?}",
                std::str::from_utf8(s),
                std::str::from_utf8(original)
            );
        }
    }

    #[test_log::test(tokio::test)]
    async fn test_fsst_64_bit_offsets() {
        let test_input_size = 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH.len();
        let test_input = TEST_PARAGRAPH.repeat(repeat_num);
        helper_64_bit(&test_input);

        let test_input_size = 2 * 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH.len();
        let test_input = TEST_PARAGRAPH.repeat(repeat_num);
        helper_64_bit(&test_input);

        let test_input_size = 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH2.len();
        let test_input = TEST_PARAGRAPH2.repeat(repeat_num);
        helper_64_bit(&test_input);

        let test_input_size = 2 * 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH2.len();
        let test_input = TEST_PARAGRAPH2.repeat(repeat_num);
        helper_64_bit(&test_input);

        let test_input_size = 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH3.len();
        let test_input = TEST_PARAGRAPH3.repeat(repeat_num);
        helper_64_bit(&test_input);

        let test_input_size = 2 * 1024 * 1024;
        let repeat_num = test_input_size / TEST_PARAGRAPH3.len();
        let test_input = TEST_PARAGRAPH3.repeat(repeat_num);
        helper_64_bit(&test_input);
    }

    fn helper_64_bit(test_input: &str) {
        use arrow_array::LargeStringArray;
        let lines_vec = test_input.lines().collect::<Vec<&str>>();
        let string_array = LargeStringArray::from(lines_vec);
        let mut compress_output_buf: Vec<u8> = vec![0; string_array.value_data().len()];
        let mut compress_offset_buf: Vec<i64> = vec![0; string_array.value_offsets().len()];
        let mut symbol_table = [0; FSST_SYMBOL_TABLE_SIZE];
        compress(
            symbol_table.as_mut(),
            string_array.value_data(),
            string_array.value_offsets(),
            &mut compress_output_buf,
            &mut compress_offset_buf,
        )
        .unwrap();
        let mut decompress_output: Vec<u8> = vec![0; compress_output_buf.len() * 8];
        let mut decompress_offsets: Vec<i64> = vec![0; compress_offset_buf.len()];
        decompress(
            &symbol_table,
            &compress_output_buf,
            &compress_offset_buf,
            &mut decompress_output,
            &mut decompress_offsets,
        )
        .unwrap();
        for i in 1..decompress_offsets.len() {
            let s = &decompress_output
                [decompress_offsets[i - 1] as usize..decompress_offsets[i] as usize];
            let original = &string_array.value_data()[string_array.value_offsets().to_vec()[i - 1]
                as usize
                ..string_array.value_offsets().to_vec()[i] as usize];
            assert!(
                s == original,
                "s: {:?}\n\n, original: {:?}",
                std::str::from_utf8(s),
                std::str::from_utf8(original)
            );
        }
    }

    // Build a genuinely FSST-compressed (decoder_switch_on) buffer to exercise the decode-side
    // output-buffer size contract. Returns (symbol_table, compressed_bytes, compressed_offsets).
    fn compress_paragraph() -> ([u8; FSST_SYMBOL_TABLE_SIZE], Vec<u8>, Vec<i32>) {
        let test_input = TEST_PARAGRAPH.repeat((1024 * 1024) / TEST_PARAGRAPH.len());
        let lines_vec = test_input.lines().collect::<Vec<&str>>();
        let string_array = StringArray::from(lines_vec);
        let mut compress_output_buf: Vec<u8> = vec![0; string_array.value_data().len()];
        let mut compress_offset_buf: Vec<i32> = vec![0; string_array.value_offsets().len()];
        let mut symbol_table = [0; FSST_SYMBOL_TABLE_SIZE];
        compress(
            symbol_table.as_mut(),
            string_array.value_data(),
            string_array.value_offsets(),
            &mut compress_output_buf,
            &mut compress_offset_buf,
        )
        .unwrap();
        (symbol_table, compress_output_buf, compress_offset_buf)
    }

    // The decoder writes a full 8-byte word per code, so the output buffer must be at least 8x the
    // compressed input. A buffer sized below 8x must be rejected rather than written out of bounds.
    #[test_log::test(tokio::test)]
    async fn test_decompress_rejects_undersized_output_buffer() {
        let (symbol_table, compressed, compressed_offsets) = compress_paragraph();
        // Sanity check: this input actually engaged FSST compression (decoder_switch_on).
        let st_info = u64::from_ne_bytes(symbol_table[..8].try_into().unwrap());
        assert!(st_info & (1 << 24) != 0, "expected decoder_switch_on input");

        // One byte short of the 8x requirement must be rejected.
        let mut too_small = vec![0u8; compressed.len() * 8 - 1];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        let err = decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut too_small,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);

        // Exactly 8x is the tight bound and must succeed.
        let mut exact = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut exact,
            &mut out_offsets,
        )
        .unwrap();
    }

    fn declared_lens_range(symbol_table: &[u8]) -> std::ops::Range<usize> {
        let n_symbols = (u64::from_ne_bytes(symbol_table[..8].try_into().unwrap()) & 255) as usize;
        let start = 8 + n_symbols * 8;
        start..start + n_symbols
    }

    #[test_log::test(tokio::test)]
    async fn test_decompress_rejects_corrupt_symbol_length() {
        let (mut symbol_table, compressed, compressed_offsets) = compress_paragraph();
        let lens = declared_lens_range(&symbol_table);
        assert!(!lens.is_empty(), "expected at least one declared symbol");
        symbol_table[lens.start] = 9;

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        let err = decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            err.to_string().contains("symbol length"),
            "unexpected error: {err}"
        );
    }

    #[test_log::test(tokio::test)]
    async fn test_decompress_rejects_zero_declared_symbol_length() {
        let (mut symbol_table, compressed, compressed_offsets) = compress_paragraph();
        let lens = declared_lens_range(&symbol_table);
        symbol_table[lens.start] = 0;

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        let err = decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            err.to_string().contains("symbol length"),
            "unexpected error: {err}"
        );
    }

    #[test_log::test(tokio::test)]
    async fn test_decompress_rejects_out_of_range_offset() {
        let (symbol_table, compressed, mut compressed_offsets) = compress_paragraph();
        let last = compressed_offsets.len() - 1;
        compressed_offsets[last] = i32::try_from(compressed.len()).unwrap() + 1;

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        let err = decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            err.to_string().contains("out of bounds"),
            "unexpected error: {err}"
        );
    }

    #[test_log::test(tokio::test)]
    async fn test_decompress_rejects_decreasing_offset() {
        let (symbol_table, compressed, mut compressed_offsets) = compress_paragraph();
        assert!(compressed_offsets.len() >= 2);
        if compressed_offsets[0] == 0 {
            compressed_offsets[0] = 1;
        }
        compressed_offsets[1] = compressed_offsets[0] - 1;

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        let err = decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            err.to_string().contains("decreases"),
            "unexpected error: {err}"
        );
    }

    #[test_log::test(tokio::test)]
    async fn test_decompress_rejects_negative_offset() {
        let (symbol_table, compressed, mut compressed_offsets) = compress_paragraph();
        compressed_offsets[0] = -1;

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        let err = decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            err.to_string().contains("negative") || err.to_string().contains("out of bounds"),
            "unexpected error: {err}"
        );
    }

    #[test_log::test(tokio::test)]
    async fn test_decompress_accepts_max_symbol_length() {
        let (symbol_table, compressed, compressed_offsets) = compress_paragraph();
        let lens = declared_lens_range(&symbol_table);
        assert!(
            symbol_table[lens].contains(&(MAX_SYMBOL_LENGTH as u8)),
            "expected encoder to emit at least one 8-byte symbol"
        );

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap();
    }

    #[test_log::test(tokio::test)]
    async fn test_undeclared_code_does_not_overflow() {
        let (symbol_table, mut compressed, compressed_offsets) = compress_paragraph();
        let n_symbols = (u64::from_ne_bytes(symbol_table[..8].try_into().unwrap()) & 255) as usize;
        if n_symbols >= 255 {
            return;
        }
        let undeclared = n_symbols as u8;
        if let Some(byte) = compressed.iter_mut().find(|byte| **byte != FSST_ESC) {
            *byte = undeclared;
        }

        let mut out = vec![0u8; compressed.len() * 8];
        let mut out_offsets = vec![0i32; compressed_offsets.len()];
        decompress(
            &symbol_table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap();
    }

    fn switch_off_roundtrip() -> ([u8; FSST_SYMBOL_TABLE_SIZE], Vec<u8>, Vec<i32>) {
        let input = b"raw";
        let offsets = [0_i32, 3];
        let mut table = [0_u8; FSST_SYMBOL_TABLE_SIZE];
        let mut compressed = vec![0; input.len()];
        let mut compressed_offsets = vec![0_i32; offsets.len()];
        compress(
            &mut table,
            input,
            &offsets,
            &mut compressed,
            &mut compressed_offsets,
        )
        .unwrap();
        let st_info = u64::from_ne_bytes(table[..8].try_into().unwrap());
        assert!(st_info & (1 << 24) == 0, "expected decoder_switch_on off");
        (table, compressed, compressed_offsets)
    }

    #[test]
    fn test_decompress_rejects_corrupt_offsets_when_switch_off() {
        let (table, compressed, _) = switch_off_roundtrip();
        let corrupt_offsets = [-1_i32, 99];
        let mut out = vec![0; compressed.len()];
        let mut out_offsets = vec![0_i32; corrupt_offsets.len()];
        let err = decompress(
            &table,
            &compressed,
            &corrupt_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
    }

    #[test]
    fn test_decompress_switch_off_accepts_valid_offsets() {
        let (table, compressed, compressed_offsets) = switch_off_roundtrip();
        let mut out = vec![0; compressed.len()];
        let mut out_offsets = vec![0_i32; compressed_offsets.len()];
        decompress(
            &table,
            &compressed,
            &compressed_offsets,
            &mut out,
            &mut out_offsets,
        )
        .unwrap();
        assert_eq!(out, compressed);
        assert_eq!(out_offsets, compressed_offsets);
    }

    fn assert_missing_escape_payload(table: &[u8], bytes: &[u8], offsets: &[i32]) {
        let mut out = vec![0_u8; bytes.len() * 8];
        let mut out_offsets = vec![0_i32; offsets.len()];
        let err = decompress(table, bytes, offsets, &mut out, &mut out_offsets).unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            err.to_string().contains("escape"),
            "unexpected error: {err}"
        );
    }

    #[test]
    fn test_decompress_rejects_dangling_escape_in_scalar_tail() {
        let (table, _, _) = compress_paragraph();
        assert_missing_escape_payload(&table, &[0, FSST_ESC], &[0, 2]);
        assert_missing_escape_payload(&table, &[FSST_ESC], &[0, 1]);
    }

    #[test]
    fn test_decompress_rejects_dangling_escape_in_fast_path() {
        let (table, _, _) = compress_paragraph();
        // 4-byte window ending in ESC: payload sits at index 4, outside in_end.
        assert_missing_escape_payload(&table, &[0, 0, 0, FSST_ESC], &[0, 4]);
    }

    #[test]
    fn test_decompress_rejects_escape_payload_from_next_value() {
        let (table, _, _) = compress_paragraph();
        // First value ends on ESC; the next value's first byte must not be stolen as payload.
        assert_missing_escape_payload(&table, &[0, 0, 0, FSST_ESC, b'X'], &[0, 4, 5]);
    }

    #[test]
    fn test_decompress_accepts_escape_with_payload() {
        let (table, _, _) = compress_paragraph();
        let bytes = [FSST_ESC, b'A'];
        let offsets = [0_i32, 2];
        let mut out = vec![0_u8; bytes.len() * 8];
        let mut out_offsets = vec![0_i32; offsets.len()];
        decompress(&table, &bytes, &offsets, &mut out, &mut out_offsets).unwrap();
        assert_eq!(&out[..], b"A");
        assert_eq!(out_offsets, [0, 1]);
    }

    #[test]
    fn test_decompress_accepts_fast_path_escape_with_payload() {
        let (table, _, _) = compress_paragraph();
        let bytes = [0, 0, 0, FSST_ESC, b'Z'];
        let offsets = [0_i32, 5];
        let mut out = vec![0_u8; bytes.len() * 8];
        let mut out_offsets = vec![0_i32; offsets.len()];
        decompress(&table, &bytes, &offsets, &mut out, &mut out_offsets).unwrap();
        assert_eq!(out_offsets[0], 0);
        assert_eq!(*out.last().unwrap(), b'Z');
        assert_eq!(out_offsets[1], i32::try_from(out.len()).unwrap());
    }
}
