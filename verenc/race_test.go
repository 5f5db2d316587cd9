//go:build race

package verenc

// sparse thins out the longest loops under the race detector, which makes everything many times
// slower.
const sparse = 32
