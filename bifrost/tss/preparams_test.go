package tss

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func TestPreParamsAreUsedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "preparams")
	p := NewPreParams(dir, homekeys.New(t), zerolog.Nop())
	count := func() int {
		n, err := NewPreParams(dir, homekeys.New(t), zerolog.Nop()).Count()
		require.NoError(t, err)
		return n
	}
	_, err := p.take("keygen/1")
	require.ErrorIs(t, err, ErrNoPreParams)
	require.NoDirExists(t, dir)

	files := fixture.PreParams()
	require.NoError(t, p.Import(files[0].Data))
	require.NoError(t, p.Import(files[1].Data))
	require.Error(t, p.Import(files[0].Data), "a second time")
	require.Equal(t, 2, count())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}

	first, err := p.take("keygen/1")
	require.NoError(t, err)
	require.True(t, first.ValidateWithProof())
	require.Equal(t, 1, count())
	again, err := NewPreParams(dir, homekeys.New(t), zerolog.Nop()).take("keygen/1")
	require.NoError(t, err)
	require.Equal(t, first.NTildei, again.NTildei, "the keygen's own, also after a crash")
	second, err := NewPreParams(dir, homekeys.New(t), zerolog.Nop()).take("keygen/2")
	require.NoError(t, err)
	require.NotEqual(t, first.NTildei, second.NTildei)
	_, err = p.take("keygen/3")
	require.ErrorIs(t, err, ErrNoPreParams)
	require.Error(t, p.Import(files[0].Data), "after it was used")
	require.Error(t, p.Import(files[1].Data), "after it was used")
}

// Marked as used but not removed yet when the process died: it is not handed out.
func TestPreParamsInterruptedTake(t *testing.T) {
	dir := t.TempDir()
	p := NewPreParams(dir, homekeys.New(t), zerolog.Nop())
	require.NoError(t, p.Import(fixture.PreParams()[0].Data))
	name := fingerprint(preParams(t, 0))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+usedSuffix), nil, 0o600))
	_, err := p.take("keygen/1")
	require.ErrorIs(t, err, ErrNoPreParams)
	require.NoFileExists(t, filepath.Join(dir, name+preParamsSuffix))
}

func TestDamagedPreParamsInStoreArePassedOver(t *testing.T) {
	dir := t.TempDir()
	p := NewPreParams(dir, homekeys.New(t), zerolog.Nop())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0000"+preParamsSuffix), []byte("{"), 0o600))
	require.NoError(t, p.Import(fixture.PreParams()[0].Data))
	pre, err := p.take("keygen/1")
	require.NoError(t, err)
	require.Equal(t, preParams(t, 0).NTildei, pre.NTildei)
}

func TestImportRefuses(t *testing.T) {
	good := fixture.PreParams()[0].Data
	for name, change := range map[string]func(p *eckeygen.LocalPreParams){
		"no Paillier key":       func(p *eckeygen.LocalPreParams) { p.PaillierSK = nil },
		"an empty Paillier key": func(p *eckeygen.LocalPreParams) { p.PaillierSK.N = nil },
		"no proof data":         func(p *eckeygen.LocalPreParams) { p.Alpha = nil },
		"another modulus":       func(p *eckeygen.LocalPreParams) { p.PaillierSK.N.Add(p.PaillierSK.N, big.NewInt(2)) },
		"another lambda":        func(p *eckeygen.LocalPreParams) { p.PaillierSK.LambdaN.Rsh(p.PaillierSK.LambdaN, 1) },
		"another phi":           func(p *eckeygen.LocalPreParams) { p.PaillierSK.PhiN.Rsh(p.PaillierSK.PhiN, 1) },
		"another NTilde":        func(p *eckeygen.LocalPreParams) { p.NTildei.Add(p.NTildei, big.NewInt(2)) },
		"another H2":            func(p *eckeygen.LocalPreParams) { p.H2i.Add(p.H2i, big.NewInt(1)) },
		"H1 and H2 of one":      func(p *eckeygen.LocalPreParams) { p.H1i, p.H2i = big.NewInt(1), big.NewInt(1) },
		"another beta":          func(p *eckeygen.LocalPreParams) { p.Beta.Add(p.Beta, big.NewInt(1)) },
		"a negative number":     func(p *eckeygen.LocalPreParams) { p.Alpha.Neg(p.Alpha) },
		"a number of many bits": func(p *eckeygen.LocalPreParams) { p.Alpha.Lsh(p.Alpha, 5000) },
		"a Paillier prime that is none": func(p *eckeygen.LocalPreParams) {
			p.PaillierSK.P, p.PaillierSK.Q = big.NewInt(1), p.PaillierSK.N
			p.PaillierSK.PhiN.SetInt64(0)
		},
	} {
		pre := new(eckeygen.LocalPreParams)
		require.NoError(t, json.Unmarshal(good, pre))
		change(pre)
		data, err := json.Marshal(pre)
		require.NoError(t, err)
		dir := t.TempDir()
		require.Error(t, NewPreParams(dir, homekeys.New(t), zerolog.Nop()).Import(data), name)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
	for _, data := range []string{"", "{}", "null", "[]", "{", `{"PaillierSK":{}}`, string(make([]byte, maxPreParams+1))} {
		require.Error(t, NewPreParams(t.TempDir(), homekeys.New(t), zerolog.Nop()).Import([]byte(data)))
	}
}

// primesOf are those that a set of the fixture was made of.
func primesOf(t *testing.T, i int) []*big.Int {
	pre := preParams(t, i)
	half := func(p *big.Int) *big.Int { return new(big.Int).Rsh(p, 1) }
	return []*big.Int{half(pre.PaillierSK.P), half(pre.PaillierSK.Q), pre.P, pre.Q}
}

// The generator, with a search that gives what it is told to. What it found stays when it pauses
// for a ceremony, and when the process starts again.
func TestGenerate(t *testing.T) {
	real := findPrime
	t.Cleanup(func() { findPrime = real })
	found := make(chan *big.Int)
	searching, stopped := make(chan bool), make(chan bool, 9)
	findPrime = func(ctx context.Context) (*big.Int, error) {
		select {
		case searching <- true:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case prime := <-found:
			return prime, nil
		case <-ctx.Done():
			stopped <- true
			return nil, ctx.Err()
		}
	}
	give := func(primes ...*big.Int) {
		for _, prime := range primes {
			<-searching
			found <- prime
		}
	}
	dir := t.TempDir()
	start := func() (p *PreParams, stop func()) {
		p = NewPreParams(dir, homekeys.New(t), zerolog.Nop())
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Generate(ctx, 2) }()
		return p, func() {
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
		}
	}
	p, stop := start()
	count := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool {
			n, err := p.Count()
			return err == nil && n == want
		}, 10*time.Second, time.Millisecond)
	}
	give(primesOf(t, 0)...)
	count(1)
	_, err := p.known(fingerprint(preParams(t, 0)))
	require.NoError(t, err)

	give(primesOf(t, 1)[:2]...)
	<-searching
	p.pause()
	<-stopped // the search under way is given up
	p.pause()
	p.resume()
	select {
	case <-searching:
		t.Fatal("it searches during a ceremony")
	default:
	}
	p.resume()
	give(primesOf(t, 1)[2])
	<-searching
	stop()

	p, stop = start()
	give(primesOf(t, 1)[3])
	count(2)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, foundFile))
		return errors.Is(err, fs.ErrNotExist)
	}, 10*time.Second, time.Millisecond)
	for i := range 2 {
		known, err := p.known(fingerprint(preParams(t, i)))
		require.NoError(t, err)
		require.True(t, known)
	}

	_, err = p.take("keygen/1") // one is missing again
	require.NoError(t, err)
	<-searching
	stop()
}

// A process that died between storing a set and forgetting its primes does not make it again.
func TestPrimesAreUsedOnce(t *testing.T) {
	real := findPrime
	t.Cleanup(func() { findPrime = real })
	findPrime = func(ctx context.Context) (*big.Int, error) { <-ctx.Done(); return nil, ctx.Err() }
	p := NewPreParams(t.TempDir(), homekeys.New(t), zerolog.Nop())
	require.NoError(t, p.Import(fixture.PreParams()[0].Data))
	require.NoError(t, p.keep(primesOf(t, 0)))
	require.NoError(t, p.generateOne(t.Context()))
	require.NoFileExists(t, filepath.Join(p.dir, foundFile))
	n, err := p.Count()
	require.NoError(t, err)
	require.Equal(t, 1, n)

	// What is damaged is not taken, and neither is one prime twice.
	good := primesOf(t, 1)
	require.NoError(t, p.keep([]*big.Int{good[0], new(big.Int).Add(good[1], big.NewInt(2)), good[0], good[2]}))
	found, err := p.found()
	require.NoError(t, err)
	require.Equal(t, []*big.Int{good[0], good[2]}, found)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, foundFile), []byte("{"), 0o600))
	found, err = p.found()
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestAssembledPreParamsFitTogether(t *testing.T) {
	old := preParams(t, 0)
	pre, ok := assemble([primesOfASet]*big.Int(primesOf(t, 0)))
	require.True(t, ok)
	require.Equal(t, old.NTildei, pre.NTildei)
	require.Equal(t, old.PaillierSK.N, pre.PaillierSK.N)
	require.NotEqual(t, old.H1i, pre.H1i, "drawn anew")
	data, err := json.Marshal(pre)
	require.NoError(t, err)
	_, err = parsePreParams(data)
	require.NoError(t, err)

	close := primesOf(t, 0)
	close[1] = new(big.Int).Add(close[0], big.NewInt(2))
	_, ok = assemble([primesOfASet]*big.Int(close))
	require.False(t, ok, "too close to each other")
}

// The real search is the one of tss-lib; that it stops when told is what can be tested in little
// time.
func TestFindPrimeStops(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for { // it may be lucky, once or twice
		if _, err := findPrime(ctx); err != nil {
			require.Error(t, ctx.Err())
			return
		}
	}
}

func TestAttemptsOfOneKeygenShareTheirPreParams(t *testing.T) {
	store := NewPreParams(filepath.Join(t.TempDir(), "preparams"), homekeys.New(t), zerolog.Nop())
	for _, f := range fixture.PreParams()[:2] {
		require.NoError(t, store.Import(f.Data))
	}
	ctx := context.Background()
	first, err := store.hold(ctx, "keygen/1")
	require.NoError(t, err)
	again, err := store.hold(ctx, "keygen/1")
	require.NoError(t, err)
	require.Equal(t, first.NTildei, again.NTildei)
	second, err := store.hold(ctx, "keygen/2")
	require.NoError(t, err)
	require.NotEqual(t, first.NTildei, second.NTildei)
	require.NoError(t, store.drop("keygen/1")) // of another
	still, err := store.hold(ctx, "keygen/2")
	require.NoError(t, err)
	require.Equal(t, second.NTildei, still.NTildei)
	require.NoError(t, store.drop("keygen/2"))

	// There is none left: the keygen waits for one, and not past its deadline.
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = store.hold(short, "keygen/2")
	require.ErrorIs(t, err, ErrNoPreParams)
}
