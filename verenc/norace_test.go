//go:build !race

package verenc

const sparse = 1
