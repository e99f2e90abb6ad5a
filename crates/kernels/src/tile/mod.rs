//! Register tiles: the innermost loop of a matrix product, one for each instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod bf16;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// Where a tile reads and writes; strides in values.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// Inner dimension.
    pub(crate) k: usize,
    /// Element `(i, l)` of A lies at `a + i·a_row + l·a_column`.
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) a_column: usize,
    /// Row `l` of B starts at `b + l·b_row`.
    pub(crate) b: *const f32,
    pub(crate) b_row: usize,
    /// Row `i` of C starts at `c + i·c_row`.
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    /// Whether the product is added to C or replaces it.
    pub(crate) add: bool,
}

/// `C (+)= A · B` for a tile of C that is held in registers.
pub(crate) trait Tile {
    /// Most rows of a tile.
    const ROWS: usize;
    /// Most columns of a tile, which is also the width of a packed panel.
    const COLUMNS: usize;

    /// Computes `rows × columns` values of C.
    ///
    /// # Safety
    /// `1 ≤ rows ≤ ROWS`, `1 ≤ columns ≤ COLUMNS`, the processor has the tile's instructions, and for all `i < rows`,
    /// `j < columns`, `l < k` the elements that [`Operands`] describes may be read (A, B) and written (C, which overlaps
    /// neither). No other element is touched.
    unsafe fn run(rows: usize, columns: usize, operands: Operands);
}

/// Evaluates the expression with the named constant set to the number of rows, which is only known at run time.
macro_rules! with_rows {
    ($rows:expr, [$($n:literal)*], $constant:ident => $call:expr) => {
        match $rows {
            $($n => {
                const $constant: usize = $n;
                $call
            })*
            // Both loops over rows step by at most `ROWS`, which is the largest number listed.
            _ => unreachable!("a tile of more rows than it has"),
        }
    };
}
pub(crate) use with_rows;
