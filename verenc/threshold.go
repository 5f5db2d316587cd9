package verenc

// Threshold is how many of a vault's n members sign, ⌈2n/3⌉: so many shares give its keys, and no
// fewer do.
func Threshold(n int) int { return (2*n + 2) / 3 }

// Degree is the degree of the polynomial whose values are the shares of a vault of n members,
// [Threshold] − 1. tss-lib calls it the threshold.
func Degree(n int) int { return Threshold(n) - 1 }
