package tss

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrNoPreParams means that no pre-parameters are in store.
var ErrNoPreParams = errors.New("no pre-parameters in store")

const (
	preParamsSuffix = ".json.age"
	takenSuffix     = ".taken"
	usedSuffix      = ".used"
	foundFile       = "found.primes.age"
	// sealedSuffix ends the names of what is sealed; without it they are those of former plaintext.
	sealedSuffix = ".age"
	primesOfASet = 4
	// maxCloseBits is how much shorter the difference of two primes may be than they are.
	maxCloseBits    = 3
	maxPreParams    = 64 << 10
	maxSealed       = 2 * maxPreParams
	primalityRounds = 20
)

// PreParams keeps pre-parameters: the Paillier key and safe primes that an ECDSA keygen consumes,
// and that take minutes to find. Each set is used for one keygen. What has been taken is
// remembered, so that it cannot come back by being imported again. On the disk they are sealed.
type PreParams struct {
	dir  string
	keys Sealer
	log  zerolog.Logger

	mu      sync.Mutex
	paused  int
	changed chan struct{} // closed and made anew when paused changes or a set is taken
}

// Sealer seals pre-parameters; keystore.Keys is one.
type Sealer interface {
	// Seal returns what Open opens. The caller of Open wipes what it returns.
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// NewPreParams returns the store in this folder, which is made when there is something to keep.
func NewPreParams(dir string, keys Sealer, log zerolog.Logger) *PreParams {
	return &PreParams{dir: dir, keys: keys, log: log, changed: make(chan struct{})}
}

// SealPlain seals what lies in the folder in plaintext, as it was kept before, and removes that
// once the sealed file was read back and compared. It is no erasure: what was on a disk may be read
// from it later.
func (p *PreParams) SealPlain() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		sealed := e.Name() + sealedSuffix
		if e.Type().IsRegular() && e.Name()[0] != '.' &&
			(strings.HasSuffix(sealed, preParamsSuffix) || sealed == foundFile) {
			if err := p.sealPlain(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *PreParams) sealPlain(name string) error {
	path := filepath.Join(p.dir, name)
	data, err := durable.Read(path, maxPreParams)
	if err != nil {
		return err
	}
	defer clear(data)
	if err := p.seal(name+sealedSuffix, data); err != nil {
		return err
	}
	again, err := p.open(name + sealedSuffix)
	defer clear(again)
	if err != nil || !bytes.Equal(again, data) {
		return fmt.Errorf("%s does not hold what was written to it", path+sealedSuffix)
	}
	return durable.Remove(path)
}

// seal writes a sealed file, or replaces it.
func (p *PreParams) seal(name string, data []byte) error {
	sealed, err := p.keys.Seal(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return durable.Replace(filepath.Join(p.dir, name), sealed)
}

// open reads a sealed file.
func (p *PreParams) open(name string) ([]byte, error) {
	sealed, err := durable.Read(filepath.Join(p.dir, name), maxSealed)
	if err != nil {
		return nil, err
	}
	plain, err := p.keys.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain, nil
}

// Count returns how many sets are in store.
func (p *PreParams) Count() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	names, err := p.unused()
	return len(names), err
}

// Import checks a set, the JSON of tss-lib's LocalPreParams, and adds it to the store. One that is
// there, or was used, is refused.
func (p *PreParams) Import(data []byte) error {
	pre, err := parsePreParams(data)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(pre)
}

// take returns the set that an attempt at the keygen of this name took before, in this life of the
// process or another, or else one from the store, which is the keygen's from then on. Without any
// it returns [ErrNoPreParams]. What another keygen took is spent.
func (p *PreParams) take(id string) (*eckeygen.LocalPreParams, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	names, err := p.present()
	if err != nil {
		return nil, err
	}
	var free []string
	for _, name := range names {
		by, err := p.takenBy(name)
		switch {
		case err != nil:
			return nil, err
		case by == "":
			free = append(free, name)
		case by == id:
			free = append([]string{name}, free...)
		default:
			if err := p.spend(name); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range free {
		data, perr := p.open(name + preParamsSuffix)
		var way *fs.PathError
		if errors.As(perr, &way) {
			return nil, perr
		}
		var pre *eckeygen.LocalPreParams
		if perr == nil {
			pre, perr = parsePreParams(data)
			clear(data)
		}
		if perr != nil {
			p.log.Error().
				Err(perr).
				Str("set", name).
				Msg("pre-parameters in store are damaged, removed")
			if err := p.spend(name); err != nil {
				return nil, err
			}
			continue
		}
		by := filepath.Join(p.dir, name+takenSuffix)
		if err := durable.Replace(by, []byte(id)); err != nil {
			return nil, err
		}
		p.signal()
		return pre, nil
	}
	return nil, ErrNoPreParams
}

// takenBy is the name of the keygen that took a set, empty when none did.
func (p *PreParams) takenBy(name string) (string, error) {
	by, err := os.ReadFile(filepath.Join(p.dir, name+takenSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(by), err
}

// spend removes a set for good: it cannot come back by being imported again.
func (p *PreParams) spend(name string) error {
	if err := durable.Write(filepath.Join(p.dir, name+usedSuffix), nil); err != nil {
		return err
	}
	return p.clean(name)
}

// clean removes what is left of a set that is spent.
func (p *PreParams) clean(name string) error {
	return errors.Join(
		durable.Remove(filepath.Join(p.dir, name+preParamsSuffix)),
		durable.Remove(filepath.Join(p.dir, name+takenSuffix)),
	)
}

// importPoll is the time between two looks for a set that may have been imported.
const importPoll = time.Second

// hold returns the set of the keygen of this name, the same for all of its attempts. It waits while
// there is none.
func (p *PreParams) hold(ctx context.Context, id string) (*eckeygen.LocalPreParams, error) {
	tick := time.NewTicker(importPoll)
	defer tick.Stop()
	for said := false; ; said = true {
		set, err := p.take(id)
		if !errors.Is(err, ErrNoPreParams) {
			return set, err
		}
		if !said {
			p.log.Error().
				Msg("a ceremony waits for pre-parameters, which are being made; import some with bifrost init --preparams")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w before the ceremony's deadline", err)
		case <-tick.C:
		}
	}
}

// drop spends the set of a keygen that made a vault of it.
func (p *PreParams) drop(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	names, err := p.present()
	if err != nil {
		return err
	}
	for _, name := range names {
		by, err := p.takenBy(name)
		if err == nil && by == id {
			err = p.spend(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Generate keeps so many sets in store, making what is missing one after the other on a single
// core, until the context ends. While a node that was given this store runs a ceremony it pauses.
// Neither that nor a restart loses more than the search for one prime: those found are kept.
func (p *PreParams) Generate(ctx context.Context, count int) error {
	for {
		p.mu.Lock()
		names, err := p.unused()
		idle := p.paused > 0 || len(names) >= count
		changed := p.changed
		p.mu.Unlock()
		if err != nil {
			return err
		}
		if idle {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := p.generateOne(ctx); err != nil {
			return err
		}
	}
}

// generateOne makes one set and stores it, or stops without an error when a ceremony begins.
func (p *PreParams) generateOne(ctx context.Context) error {
	search, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			p.mu.Lock()
			paused, changed := p.paused > 0, p.changed
			p.mu.Unlock()
			if paused {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-search.Done():
				return
			}
		}
	}()
	start := time.Now()
	pre, err := p.findPreParams(search)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case search.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("making pre-parameters: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known, err := p.known(fingerprint(pre))
	if err == nil && !known {
		err = p.add(pre)
	}
	if err == nil { // only now: should the process die in between, they give the same set
		err = durable.Remove(filepath.Join(p.dir, foundFile))
	}
	if err != nil {
		return err
	}
	p.log.Info().Dur("took", time.Since(start)).Msg("made pre-parameters")
	return nil
}

// findPreParams looks for what is missing of four primes p of which 2p+1 is prime as well, one
// after the other, as tss-lib's generator does for a Paillier key and for NTilde.
func (p *PreParams) findPreParams(ctx context.Context) (*eckeygen.LocalPreParams, error) {
	found, err := p.found()
	for err == nil {
		for len(found) < primesOfASet && err == nil {
			var prime *big.Int
			if prime, err = findPrime(ctx); err == nil {
				found = append(found, prime)
				err = p.keep(found)
			}
		}
		if err != nil {
			break
		}
		if pre, ok := assemble([primesOfASet]*big.Int(found)); ok {
			return pre, nil
		}
		found = found[1:]
	}
	return nil, err
}

// findPrime is the search. A variable, for tests.
var findPrime = func(ctx context.Context) (*big.Int, error) {
	primes, err := common.GetRandomSafePrimesConcurrent(ctx, paillierBits/2, 1, 1, rand.Reader)
	if err != nil {
		return nil, err
	}
	return primes[0].Prime(), nil
}

// found reads the primes that were kept. What is no such prime, or is there twice, is left out.
func (p *PreParams) found() (found []*big.Int, err error) {
	data, err := p.open(foundFile)
	var way *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &way):
		return nil, err
	case err != nil:
		return nil, nil // it is damaged, and they are looked for anew
	}
	defer clear(data)
	var kept []*big.Int
	if json.Unmarshal(data, &kept) != nil {
		return nil, nil
	}
	for _, prime := range kept {
		if len(found) == primesOfASet || prime == nil || prime.BitLen() != paillierBits/2-1 ||
			!prime.ProbablyPrime(primalityRounds) ||
			!safePrime(prime).ProbablyPrime(primalityRounds) ||
			slices.ContainsFunc(found, func(f *big.Int) bool { return f.Cmp(prime) == 0 }) {
			continue
		}
		found = append(found, prime)
	}
	return found, nil
}

func (p *PreParams) keep(found []*big.Int) error {
	data, err := json.Marshal(found)
	if err != nil {
		return errors.New("encoding primes")
	}
	defer clear(data)
	return p.seal(foundFile, data)
}

// safePrime is 2p+1.
func safePrime(p *big.Int) *big.Int {
	return new(big.Int).Add(new(big.Int).Lsh(p, 1), big.NewInt(1))
}

// assemble makes a set of four primes p of which 2p+1 is prime: of the first two the Paillier key,
// of the others NTilde. It refuses a key of two that are too close to each other, as tss-lib does.
func assemble(found [primesOfASet]*big.Int) (*eckeygen.LocalPreParams, bool) {
	sk := &paillier.PrivateKey{P: safePrime(found[0]), Q: safePrime(found[1])}
	if new(big.Int).Sub(sk.P, sk.Q).BitLen() < paillierBits/2-maxCloseBits {
		return nil, false
	}
	p, q := found[2], found[3]
	one := big.NewInt(1)
	sk.N = new(big.Int).Mul(sk.P, sk.Q)
	pMinus1, qMinus1 := new(big.Int).Sub(sk.P, one), new(big.Int).Sub(sk.Q, one)
	sk.PhiN = new(big.Int).Mul(pMinus1, qMinus1)
	sk.LambdaN = new(big.Int).Div(sk.PhiN, new(big.Int).GCD(nil, nil, pMinus1, qMinus1))
	pre := &eckeygen.LocalPreParams{
		PaillierSK: sk,
		P:          p,
		Q:          q,
		NTildei:    new(big.Int).Mul(safePrime(p), safePrime(q)),
	}
	order := new(big.Int).Mul(p, q)
	root := common.GetRandomPositiveRelativelyPrimeInt(rand.Reader, pre.NTildei)
	for pre.Beta == nil {
		pre.Alpha = common.GetRandomPositiveRelativelyPrimeInt(rand.Reader, pre.NTildei)
		pre.Beta = new(big.Int).ModInverse(pre.Alpha, order)
	}
	pre.H1i = new(big.Int).Exp(root, big.NewInt(2), pre.NTildei)
	pre.H2i = new(big.Int).Exp(pre.H1i, pre.Alpha, pre.NTildei)
	return pre, true
}

func (p *PreParams) pause() { p.change(1) }

func (p *PreParams) resume() { p.change(-1) }

func (p *PreParams) change(by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused += by
	p.signal()
}

func (p *PreParams) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// unused returns the names of the sets that no keygen has taken.
func (p *PreParams) unused() ([]string, error) {
	names, err := p.present()
	if err != nil {
		return nil, err
	}
	var free []string
	for _, name := range names {
		by, err := p.takenBy(name)
		if err != nil {
			return nil, err
		}
		if by == "" {
			free = append(free, name)
		}
	}
	return free, nil
}

// present returns the names of the sets in store, and finishes the removal of one that was
// interrupted.
func (p *PreParams) present() ([]string, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), preParamsSuffix)
		if !ok || !e.Type().IsRegular() || strings.HasPrefix(name, ".") {
			continue
		}
		if _, err := os.Lstat(filepath.Join(p.dir, name+usedSuffix)); err == nil {
			if err := p.clean(name); err != nil {
				return nil, err
			}
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

func (p *PreParams) add(pre *eckeygen.LocalPreParams) error {
	name := fingerprint(pre)
	known, err := p.known(name)
	if err != nil {
		return err
	}
	if known {
		return fmt.Errorf("pre-parameters %s are in store already, or were used", name)
	}
	data, err := json.Marshal(pre)
	if err != nil {
		return errors.New("encoding pre-parameters")
	}
	defer clear(data)
	return p.seal(name+preParamsSuffix, data)
}

// known reports whether a set is in store, or was used.
func (p *PreParams) known(name string) (bool, error) {
	for _, suffix := range []string{usedSuffix, preParamsSuffix} {
		_, err := os.Lstat(filepath.Join(p.dir, name+suffix))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// fingerprint names a set by its public part.
func fingerprint(pre *eckeygen.LocalPreParams) string {
	sum := sha256.Sum256(append(pre.PaillierSK.N.Bytes(), pre.NTildei.Bytes()...))
	return hex.EncodeToString(sum[:16])
}

// parsePreParams reads a set and checks everything that a keygen relies on. Its errors show no
// number.
func parsePreParams(data []byte) (*eckeygen.LocalPreParams, error) {
	if len(data) > maxPreParams {
		return nil, fmt.Errorf("pre-parameters of %d bytes", len(data))
	}
	pre := new(eckeygen.LocalPreParams)
	if err := json.Unmarshal(data, pre); err != nil {
		return nil, errors.New("pre-parameters are not the JSON of tss-lib's LocalPreParams")
	}
	if !pre.ValidateWithProof() || pre.PaillierSK.N == nil || pre.PaillierSK.LambdaN == nil ||
		pre.PaillierSK.PhiN == nil {
		return nil, errors.New("pre-parameters are incomplete")
	}
	sk := pre.PaillierSK
	for _, v := range []*big.Int{
		sk.N, sk.P, sk.Q, sk.LambdaN, sk.PhiN,
		pre.NTildei, pre.H1i, pre.H2i, pre.Alpha, pre.Beta, pre.P, pre.Q,
	} {
		if v.Sign() <= 0 || v.BitLen() > paillierBits {
			return nil, errors.New("a number of the pre-parameters is out of range")
		}
	}
	if sk.N.BitLen() != paillierBits || pre.NTildei.BitLen() != paillierBits {
		return nil, fmt.Errorf(
			"a modulus of the pre-parameters does not have %d bits",
			paillierBits,
		)
	}
	one := big.NewInt(1)
	minusOne := func(v *big.Int) *big.Int { return new(big.Int).Sub(v, one) }
	double := func(v *big.Int) *big.Int { return new(big.Int).Add(new(big.Int).Lsh(v, 1), one) }
	equal := func(a, b *big.Int) bool { return a.Cmp(b) == 0 }
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

	phi := mul(minusOne(sk.P), minusOne(sk.Q))
	lambda := new(big.Int).Div(phi, new(big.Int).GCD(nil, nil, minusOne(sk.P), minusOne(sk.Q)))
	safeP, safeQ := double(pre.P), double(pre.Q)
	order := mul(pre.P, pre.Q)
	if !equal(mul(sk.P, sk.Q), sk.N) || equal(sk.P, sk.Q) ||
		!equal(phi, sk.PhiN) || !equal(lambda, sk.LambdaN) ||
		!equal(mul(safeP, safeQ), pre.NTildei) || equal(pre.P, pre.Q) ||
		!equal(new(big.Int).Exp(pre.H1i, pre.Alpha, pre.NTildei), pre.H2i) ||
		!equal(new(big.Int).Mod(mul(pre.Alpha, pre.Beta), order), one) ||
		!equal(new(big.Int).Exp(pre.H1i, order, pre.NTildei), one) ||
		equal(pre.H1i, one) ||
		equal(pre.H1i, pre.H2i) {
		return nil, errors.New("the numbers of the pre-parameters do not fit together")
	}
	for _, prime := range []*big.Int{
		sk.P, sk.Q, new(big.Int).Rsh(sk.P, 1), new(big.Int).Rsh(sk.Q, 1),
		pre.P, pre.Q, safeP, safeQ,
	} {
		if !prime.ProbablyPrime(primalityRounds) {
			return nil, errors.New("a number of the pre-parameters is not prime")
		}
	}
	return pre, nil
}
