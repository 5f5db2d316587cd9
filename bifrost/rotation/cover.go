package rotation

import "slices"

// work bounds the search for a cover: the number of its rounds, times n. What comes of the search
// is what members agree on, so it must never change.
const work = 40_000

// cover adds sets of a size to the first ones until each pair of n is together in one of them, and
// looks for few. Each round it takes some of the added sets away, fills the gap greedily, and keeps
// what is no worse.
func cover(n, size int, first turn) turn {
	s := &search{n: n, size: size, first: len(first), times: make([]int, n*n), open: make([]int, n)}
	s.left = n * (n - 1) / 2
	for i := range s.open {
		s.open[i] = n - 1
	}
	for _, set := range first {
		s.add(set)
	}
	s.fill()
	for range work / n {
		if len(s.sets) == atLeast(n, size) {
			break
		}
		before := slices.Clone(s.sets)
		for range 1 + s.below(1+(len(s.sets)-s.first)/2) {
			s.remove(s.first + s.below(len(s.sets)-s.first))
		}
		s.fill()
		if len(s.sets) > len(before) {
			s.restore(before)
		}
	}
	return s.sets
}

// atLeast is Schönheim's bound on the number of sets: each member is with n-1 others, size-1 at a
// time.
func atLeast(n, size int) int {
	up := func(a, b int) int { return (a + b - 1) / b }
	return up(n*up(n-1, size-1), size)
}

// A search is for sets that cover all pairs. It decides ties by numbers that look random and are
// always the same.
type search struct {
	n, size int
	sets    turn
	first   int    // how many of the sets stay
	times   []int  // n by n: how many sets have both
	open    []int  // for each member, with how many it is in no set
	left    int    // the pairs that are in no set
	state   uint64 // of the numbers
}

func (s *search) add(set []int) {
	s.sets = append(s.sets, set)
	s.count(set, 1)
}

func (s *search) remove(i int) {
	s.count(s.sets[i], -1)
	s.sets = slices.Delete(s.sets, i, i+1)
}

func (s *search) restore(sets turn) {
	for _, set := range s.sets {
		s.count(set, -1)
	}
	s.sets = sets
	for _, set := range s.sets {
		s.count(set, 1)
	}
}

func (s *search) count(set []int, by int) {
	for i, a := range set {
		for _, b := range set[:i] {
			before := s.times[a*s.n+b]
			s.times[a*s.n+b] += by
			s.times[b*s.n+a] += by
			opened := 0
			switch {
			case before == 0:
				opened = -1
			case before+by == 0:
				opened = 1
			}
			s.open[a] += opened
			s.open[b] += opened
			s.left += opened
		}
	}
}

// fill adds sets until all pairs are covered, and takes away those without which they still are.
func (s *search) fill() {
	for s.left > 0 {
		s.add(s.next())
	}
	for i := len(s.sets) - 1; i >= s.first; i-- {
		if s.spare(s.sets[i]) {
			s.remove(i)
		}
	}
}

// next makes a set, each time of who has the most open pairs with those in it, then with all.
func (s *search) next() []int {
	gain, in := make([]int, s.n), make([]bool, s.n)
	set := make([]int, 0, s.size)
	for len(set) < s.size {
		best, ties := -1, 0
		for m := range s.n {
			switch {
			case in[m]:
			case best < 0 || gain[m] > gain[best] ||
				gain[m] == gain[best] && s.open[m] > s.open[best]:
				best, ties = m, 1
			case gain[m] == gain[best] && s.open[m] == s.open[best]:
				if ties++; s.below(ties) == 0 {
					best = m
				}
			}
		}
		set, in[best] = append(set, best), true
		for m := range s.n {
			if m != best && s.times[m*s.n+best] == 0 {
				gain[m]++
			}
		}
	}
	return set
}

// spare reports whether all pairs of a set are in others too.
func (s *search) spare(set []int) bool {
	for i, a := range set {
		for _, b := range set[:i] {
			if s.times[a*s.n+b] == 1 {
				return false
			}
		}
	}
	return true
}

// below returns the next number, from 0 to n-1: SplitMix64 from 0.
func (s *search) below(n int) int {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) >> 33 % uint64(n))
}
