//! The 64 steps of RFC 1321, section 3.4, over whatever a lane's words lie in.

/// The constants of the steps: 2^32 * abs(sin(i + 1)), rounded down.
#[rustfmt::skip]
pub(super) const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// In how many parts something else is done between the steps.
pub(super) const PARTS: usize = 8;

/// The state after one block. Expects in scope, on whatever a word of each lane lies in: `add`, `rotate::<LEFT, RIGHT, _>`
/// (where `RIGHT` is 32 - `LEFT`), `constant`, `opaque`, and the rounds' functions `f`, `g`, `h`, `i`.
///
/// A step waits for the one before, and most of a core for both. What waits for neither is done meanwhile if it stands
/// between them (a core looks some dozen steps ahead, not at the next block): that is `meanwhile`, once for each of
/// [`PARTS`] parts, from 0.
macro_rules! steps {
    ($state:expr, $words:expr, |$part:ident| $meanwhile:expr) => {{
        let (state, words) = ($state, &$words);
        let [mut a, mut b, mut c, mut d] = state;
        steps!(@four f a b c d words 0 [0 1 2 3] [7 12 17 22]);
        steps!(@four f a b c d words 4 [4 5 6 7] [7 12 17 22]);
        steps!(@part $part 0 $meanwhile);
        steps!(@four f a b c d words 8 [8 9 10 11] [7 12 17 22]);
        steps!(@four f a b c d words 12 [12 13 14 15] [7 12 17 22]);
        steps!(@part $part 1 $meanwhile);
        steps!(@four g a b c d words 16 [1 6 11 0] [5 9 14 20]);
        steps!(@four g a b c d words 20 [5 10 15 4] [5 9 14 20]);
        steps!(@part $part 2 $meanwhile);
        steps!(@four g a b c d words 24 [9 14 3 8] [5 9 14 20]);
        steps!(@four g a b c d words 28 [13 2 7 12] [5 9 14 20]);
        steps!(@part $part 3 $meanwhile);
        steps!(@four h a b c d words 32 [5 8 11 14] [4 11 16 23]);
        steps!(@four h a b c d words 36 [1 4 7 10] [4 11 16 23]);
        steps!(@part $part 4 $meanwhile);
        steps!(@four h a b c d words 40 [13 0 3 6] [4 11 16 23]);
        steps!(@four h a b c d words 44 [9 12 15 2] [4 11 16 23]);
        steps!(@part $part 5 $meanwhile);
        steps!(@four i a b c d words 48 [0 7 14 5] [6 10 15 21]);
        steps!(@four i a b c d words 52 [12 3 10 1] [6 10 15 21]);
        steps!(@part $part 6 $meanwhile);
        steps!(@four i a b c d words 56 [8 15 6 13] [6 10 15 21]);
        steps!(@four i a b c d words 60 [4 11 2 9] [6 10 15 21]);
        steps!(@part $part 7 $meanwhile);
        [add(state[0], a), add(state[1], b), add(state[2], c), add(state[3], d)]
    }};
    (@part $part:ident $number:literal $meanwhile:expr) => {{
        let $part: usize = $number;
        let () = $meanwhile;
    }};
    (@four $f:ident $a:ident $b:ident $c:ident $d:ident $words:ident $first:literal
        [$w0:literal $w1:literal $w2:literal $w3:literal] [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        steps!(@one $f $a $b $c $d $words[$w0] $first $s0);
        steps!(@one $f $d $a $b $c $words[$w1] ($first + 1) $s1);
        steps!(@one $f $c $d $a $b $words[$w2] ($first + 2) $s2);
        steps!(@one $f $b $c $d $a $words[$w3] ($first + 3) $s3);
    };
    (@one $f:ident $a:ident $b:ident $c:ident $d:ident $words:ident[$word:literal] $step:tt $shift:literal) => {
        // Nobody waits for this sum. Were it not opaque, the compiler would add the constant last, where everybody waits.
        let sum = opaque(add(add($words[$word], constant(SINES[$step])), $a));
        $a = add($b, rotate::<$shift, { 32 - $shift }, _>(add(sum, $f($b, $c, $d))));
    };
}

pub(super) use steps;
