package verenc

import (
	"crypto/sha512"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// toy has few enough rows that a cheating prover sometimes wins. Its index is a byte modulo the
// rows, and every nonce is admissible.
var toy = params{rows: 16, closed: 4, copath: 32}

// toyCase is a statement about one share of each group, made up from a name.
func toyCase(t testing.TB, name string) (*RecipientKey, Statement, []Share) {
	t.Helper()
	seed := sha512.Sum512([]byte(name))
	key, err := NewRecipientKey(seed[:], 0)
	require.NoError(t, err)
	st := Statement{Label: []byte(name), Recipient: key.Public()}
	var shares []Share
	for _, g := range []Group{Secp256k1, Ed25519} {
		s := madeUpShare(t, g, name)
		shares = append(shares, s)
		st.Shares = append(st.Shares, s.Public())
	}
	return key, st, shares
}

func madeUpScalar(t testing.TB, g Group, name string) scalar {
	t.Helper()
	a, err := g.arithmetic()
	require.NoError(t, err)
	h := sha512.Sum512([]byte("scalar " + name))
	return a.wide(&h)
}

func madeUpShare(t testing.TB, g Group, name string) Share {
	t.Helper()
	x := madeUpScalar(t, g, name)
	s, err := NewShare(g, x[:])
	require.NoError(t, err)
	return s
}

// TestCheatingProver spoils some rows before committing and answers one challenge after the other.
// It must get away with exactly those that keep every bad row closed, which is C(N−j, τ−j) of C(N,
// τ); and as long as one closed row is good, what was accepted opens to the share all the same.
func TestCheatingProver(t *testing.T) {
	key, st, shares := toyCase(t, "cheat")
	binomial := func(n, k int) float64 {
		f, _ := new(big.Float).SetInt(new(big.Int).Binomial(int64(n), int64(k))).Float64()
		return f
	}
	for bad := range toy.closed + 2 {
		t.Run(fmt.Sprintf("%d bad rows", bad), func(t *testing.T) {
			t.Parallel()
			f := newForger(t, toy, key, st, shares, fmt.Sprint(bad))
			var spoiled []int
			for i := range bad {
				row := (i*7 + 3) % toy.rows
				spoiled = append(spoiled, row)
				j := i % 2
				switch i % 3 {
				case 0: // a mask that is not the pad
					f.mask(t, j, row, madeUpScalar(t, shares[j].Group(), fmt.Sprint("bad", i)))
				case 1: // an E that does not decode
					f.ephemeral(t, row, slices.Repeat([]byte{0xff}, 32))
				case 2: // the E of another row
					f.ephemeral(t, row, f.rows.pointsE[(row+1)%toy.rows])
				}
			}
			const trials = 40_000
			const verify = 5 + 95/sparse // verifications of each verdict
			won, verified, refused := 0, 0, 0
			for nonce := range uint32(trials) {
				set, _, ok := toy.challenge(&f.ctx, &f.d, nonce)
				require.True(t, ok)
				wins := true
				for _, row := range spoiled {
					wins = wins && slices.Contains(set, row)
				}
				if wins {
					won++
				}
				if (wins && verified == verify) || (!wins && refused == verify) {
					continue
				}
				stored, err := verifyBoth(t, toy, st, f.proof(t, nonce))
				if !wins {
					refused++
					require.Error(t, err)
					continue
				}
				verified++
				require.NoError(t, err)
				opened, err := stored.Open(key, st.Shares)
				if bad == toy.closed {
					require.Error(t, err)
					continue
				}
				require.NoError(t, err)
				for j := range shares {
					require.Equal(t, shares[j].Bytes(), opened[j].Bytes())
				}
			}
			chance := 0.0
			if bad <= toy.closed {
				chance = binomial(toy.rows-bad, toy.closed-bad) / binomial(toy.rows, toy.closed)
			}
			deviation := math.Sqrt(trials * chance * (1 - chance))
			require.InDelta(t, trials*chance, float64(won), 5*deviation+0.5)
		})
	}
}

// TestProverOfAnotherShare encrypts a share that is not the one of the public point: every closed
// row would have to be bad.
func TestProverOfAnotherShare(t *testing.T) {
	key, st, shares := toyCase(t, "truth")
	_, _, lies := toyCase(t, "lie")
	for j := range shares {
		mixed := slices.Clone(shares)
		mixed[j] = lies[j]
		f := newForger(t, toy, key, st, mixed, "lie")
		for nonce := range uint32(100) {
			_, err := verifyBoth(t, toy, st, f.proof(t, nonce))
			require.ErrorIs(t, err, errProof)
		}
	}
}

// TestChallengesAreUniform counts how often each row is closed.
func TestChallengesAreUniform(t *testing.T) {
	var ctx, d [32]byte
	count := make([]int, toy.rows)
	const trials = 20_000
	for nonce := range uint32(trials) {
		set, _, _ := toy.challenge(&ctx, &d, nonce)
		require.Len(t, set, toy.closed)
		require.True(t, slices.IsSorted(set))
		for _, i := range set {
			count[i]++
		}
	}
	mean := float64(trials) * float64(toy.closed) / float64(toy.rows)
	for i := range count {
		require.InDelta(t, mean, float64(count[i]), 6*math.Sqrt(mean), "row %d", i)
	}
}

// TestAdmissibleChallenges holds the share of admissible nonces against the 2.3 % that the proof's
// size is based on.
func TestAdmissibleChallenges(t *testing.T) {
	var ctx, d [32]byte
	const trials = 10_000
	admissible := 0
	for nonce := range uint32(trials) {
		set, copath, ok := suite1.challenge(&ctx, &d, nonce)
		require.Equal(t, len(copath) <= 64, ok)
		require.Len(t, set, 30)
		if ok {
			admissible++
		}
	}
	require.InDelta(t, 0.023*trials, float64(admissible), 80)
}

// TestCopathGivesAllButTheClosedRows grows the tree from the co-path alone.
func TestCopathGivesAllButTheClosedRows(t *testing.T) {
	var ctx, d, salt [32]byte
	whole := make(tree, 512)
	whole[1] = seed{1}
	known := make([]bool, 512)
	known[1] = true
	whole.grow(&ctx, &salt, known)
	for nonce := range uint32(50) {
		set, copath, _ := suite1.challenge(&ctx, &d, nonce)
		require.True(t, slices.IsSorted(copath))
		part, known := make(tree, 512), make([]bool, 512)
		for _, v := range copath {
			part[v], known[v] = whole[v], true
		}
		part.grow(&ctx, &salt, known)
		for i := range 256 {
			require.Equal(t, !slices.Contains(set, i), known[256+i])
			if known[256+i] {
				require.Equal(t, whole[256+i], part[256+i])
			}
		}
	}
}
