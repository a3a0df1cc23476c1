//! Sorting networks: the same comparisons whatever the values, so that many pixels are sorted at
//! a time (K. E. Batcher, Sorting networks and their applications, 1968: odd-even merge).
//!
//! *Invariants*: sorts every input of its size (0-1 principle, tested for all inputs).
//!
//! *Not here*: what is sorted (`median`).

/// Returns the comparisons of a network for `n` values, in order: the lesser goes first.
pub(super) fn comparisons(n: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut p = 1;
    while p < n {
        let mut k = p;
        while k >= 1 {
            let mut j = k % p;
            while j + k < n {
                for i in 0..k.min(n - j - k) {
                    if (i + j) / (2 * p) == (i + j + k) / (2 * p) {
                        found.push((i + j, i + j + k));
                    }
                }
                j += 2 * k;
            }
            k /= 2;
        }
        p *= 2;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::comparisons;

    #[test]
    fn every_sequence_of_zeros_and_ones_is_sorted() {
        for n in 0..=16_usize {
            let network = comparisons(n);
            for bits in 0..1_u32 << n {
                let mut values: Vec<u32> = (0..n).map(|i| bits >> i & 1).collect();
                for &(a, b) in &network {
                    if values[b] < values[a] {
                        values.swap(a, b);
                    }
                }
                assert!(values.is_sorted(), "{n} values, {bits:b}");
            }
        }
    }

    #[test]
    fn twelve_values_take_few_comparisons() {
        // The best network known takes 39.
        assert!(comparisons(12).len() <= 42, "{}", comparisons(12).len());
    }
}
