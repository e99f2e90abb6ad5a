//! The instruction sets that kernels are compiled for, and the choice between them at run time.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Index in [`Isa::available`] of the preferred one.
static PREFERRED: AtomicUsize = AtomicUsize::new(NONE);
const NONE: usize = usize::MAX;

/// An instruction set that this processor has: values can only be had from [`Isa::detect`], [`Isa::available`] and
/// [`Isa::named`], which look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Isa(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What every processor of the target has.
    Scalar,
    /// AVX2 and FMA, 8 f32.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL, 16 f32.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with AVX-512-BF16's dot products.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// Advanced SIMD, 4 f32; every arm64 processor has it.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// The best that the processor has, or what [`prefer`](Self::prefer) was given.
    pub fn detect() -> Self {
        let all = Self::available();
        match PREFERRED.load(Ordering::Relaxed) {
            NONE => all[all.len() - 1],
            index => all[index],
        }
    }

    /// Makes [`detect`](Self::detect) return this one from now on, in the whole process: for comparisons of instruction sets.
    pub fn prefer(self) {
        let index = Self::available().into_iter().position(|isa| isa == self);
        PREFERRED.store(index.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Everything that the processor has, the best last.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Kind::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") {
                found.push(Kind::Avx2);
                if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                    found.push(Kind::Avx512);
                    if has!("avx512bf16") {
                        found.push(Kind::Avx512Bf16);
                    }
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Kind::Neon);
        found.into_iter().map(Self).collect()
    }

    /// The one with that [`name`](Self::name), where the processor has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }

    /// `scalar`, `avx2`, `avx512`, `avx512-bf16` or `neon`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => "avx512-bf16",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    /// Whether it multiplies pairs of bf16 into f32.
    pub fn has_bf16(self) -> bool {
        self.name() == "avx512-bf16"
    }
}

/// Its name.
impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Defines functions whose bodies, plain Rust, are compiled once for each instruction set.
///
/// `fn name(arguments) -> Result { body }` becomes `fn name(isa: Isa, arguments) -> Result`.
macro_rules! for_each_isa {
    ($($(#[$doc:meta])* $visibility:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => { $(
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "a kernel names its buffers and sizes one by one")]
        $visibility fn $name(isa: $crate::Isa, $($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            fn body($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            fn avx2($($arg: $type),*) $(-> $result)? { body($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            fn avx512($($arg: $type),*) $(-> $result)? { body($($arg),*) }
            match isa.0 {
                // SAFETY: a value of `Isa` of this kind exists only where the processor has these features.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Kind::Avx512 | $crate::isa::Kind::Avx512Bf16 => unsafe { avx512($($arg),*) },
                _ => body($($arg),*),
            }
        }
    )* };
}
pub(crate) use for_each_isa;

#[cfg(test)]
#[path = "isa_tests.rs"]
mod tests;
