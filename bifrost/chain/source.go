package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/light/provider"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

// source shows the light client the headers of one node. It remembers what the node showed, so that
// a node can be named when it turns out to be wrong.
type source struct {
	*Client
	chainID string

	mu sync.Mutex
	// shown are the hashes of the headers that the node showed, by height.
	shown map[int64][]byte
	// parts are those of blocks that were asked for together, until they are looked at.
	parts map[int64]parts
	// err is the last reason for which the node showed none since it was last forgotten.
	err error
}

func newSource(c *Client, chainID string) *source {
	return &source{
		Client: c, chainID: chainID, shown: map[int64][]byte{}, parts: map[int64]parts{},
	}
}

// parts are what a light block is made of: the signed header, and the first page of validators.
type parts struct {
	commit     *ctypes.ResultCommit
	validators *ctypes.ResultValidators
}

// ChainID implements provider.Provider.
func (s *source) ChainID() string { return s.chainID }

// ReportEvidence implements provider.Provider: it hands the evidence of an attack to the node,
// whose validators are punished for it.
func (s *source) ReportEvidence(ctx context.Context, ev cmttypes.Evidence) error {
	_, err := s.rpc.BroadcastEvidence(ctx, ev)
	return err
}

// LightBlock implements provider.Provider. The block is complete and its parts belong together; its
// signatures are not verified yet.
func (s *source) LightBlock(ctx context.Context, height int64) (*cmttypes.LightBlock, error) {
	block, err := s.lightBlock(ctx, height)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.shown[block.Height] = block.Hash()
		return block, nil
	}
	if ctx.Err() != nil {
		s.err = err
		return nil, ctx.Err()
	}
	// The light client compares these errors with ==.
	var bad provider.ErrBadLightBlock
	var behind *behindError
	var refused *RefusedError
	switch {
	case errors.As(err, &bad):
		s.err = err
		return nil, bad
	case errors.As(err, &refused):
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	case errors.Is(err, ErrNoBlock) && !errors.As(err, &behind):
		s.err = err
		return nil, provider.ErrLightBlockNotFound
	}
	s.err = err
	// provider.ErrHeightTooHigh would have the light client wait for half a minute.
	return nil, provider.ErrNoResponse
}

// forget has the node begin anew, as for why it showed no header.
func (s *source) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = nil
}

// lower is the height that the node has, when it said that it has not quite reached this one.
func (s *source) lower(height int64) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var behind *behindError
	if !errors.As(s.err, &behind) || behind.asked != height {
		return 0, false
	}
	short := height - behind.reached
	return behind.reached, short > 0 && short <= maxBehind && behind.reached > 0
}

// contradicts reports whether the node showed another header than this.
func (s *source) contradicts(block *cmttypes.LightBlock) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash, ok := s.shown[block.Height]
	return ok && !bytes.Equal(hash, block.Hash())
}

// confirms reports whether the node showed this header.
func (s *source) confirms(block *cmttypes.LightBlock) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Equal(s.shown[block.Height], block.Hash())
}

// reason is why the node did not show a header, or else, as it showed one, the given error.
func (s *source) reason(height int64, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if errors.Is(err, light.ErrNoWitnesses) ||
		errors.Is(err, light.ErrFailedHeaderCrossReferencing) {
		return fmt.Errorf(
			"%w: it shows another header %d than the one that is verified",
			ErrUnverified,
			height,
		)
	}
	return cleanError{err}
}

// askTogether asks for the parts of blocks in one request, where the node takes several questions
// at once. What is not as it should be is as if it had not been asked: lightBlock asks again, one
// by one, and has the reason.
func (s *source) askTogether(ctx context.Context, heights ...int64) {
	if s.noBatch.Load() {
		return
	}
	page, perPage := 1, validatorsPage
	batch, all := s.rpc.NewBatch(), make([]parts, len(heights))
	for i := range heights {
		var errs [2]error
		all[i].commit, errs[0] = batch.Commit(ctx, &heights[i])
		all[i].validators, errs[1] = batch.Validators(ctx, &heights[i], &page, &perPage)
		if errors.Join(errs[:]...) != nil {
			return
		}
	}
	answers, err := batch.Send(ctx)
	if err != nil || len(answers) != 2*len(heights) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, height := range heights {
		s.parts[height] = all[i]
	}
}

// together makes a light block of parts that came in one request.
func (s *source) together(ctx context.Context, height int64) (*cmttypes.LightBlock, bool) {
	take := func() (parts, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		p, ok := s.parts[height]
		delete(s.parts, height)
		return p, ok
	}
	p, ok := take()
	if !ok {
		s.askTogether(ctx, height)
		p, ok = take()
	}
	if !ok || p.commit.Header == nil || p.commit.Commit == nil {
		return nil, false
	}
	block, err := s.assemble(ctx, height, p)
	return block, err == nil
}

func (s *source) lightBlock(ctx context.Context, height int64) (*cmttypes.LightBlock, error) {
	if block, ok := s.together(ctx, height); ok {
		return block, nil
	}
	var p parts
	err := s.await(ctx, func() (err error) {
		if p.commit, err = s.rpc.Commit(ctx, &height); err != nil {
			return s.classify(ctx, err)
		}
		if p.commit.Header == nil || p.commit.Commit == nil {
			return &behindError{text: "it shows no commit"}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	block, err := s.assemble(ctx, height, p)
	if err == nil {
		s.noBatch.Store(true)
	}
	return block, err
}

// assemble makes a light block, and asks for the validators that are not among its parts.
func (s *source) assemble(
	ctx context.Context, height int64, p parts,
) (*cmttypes.LightBlock, error) {
	if p.commit.Height != height {
		return nil, badBlock(
			fmt.Errorf("asked for header %d, got header %d", height, p.commit.Height))
	}
	validators, err := s.validators(ctx, height, p.validators)
	if err != nil {
		return nil, err
	}
	block := &cmttypes.LightBlock{SignedHeader: &p.commit.SignedHeader, ValidatorSet: validators}
	if err := block.ValidateBasic(s.chainID); err != nil {
		return nil, badBlock(err)
	}
	return block, nil
}

const (
	validatorsPage = 100
	maxValidators  = 10_000
)

// validators asks for the pages of a set, but for the first if it is there.
func (s *source) validators(
	ctx context.Context, height int64, first *ctypes.ResultValidators,
) (*cmttypes.ValidatorSet, error) {
	var all []*cmttypes.Validator
	perPage := validatorsPage
	for page, res := 1, first; ; page, res = page+1, nil {
		if res == nil {
			err := s.await(ctx, func() (err error) {
				if res, err = s.rpc.Validators(ctx, &height, &page, &perPage); err != nil {
					err = s.classify(ctx, err)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		if len(res.Validators) == 0 || res.Total > maxValidators ||
			len(all)+len(res.Validators) > maxValidators {
			return nil, badBlock(
				fmt.Errorf("validators of header %d: %d of %d", height, len(all), res.Total),
			)
		}
		all = append(all, res.Validators...)
		if len(all) >= res.Total {
			break
		}
	}
	// Twins and too much power would make the set panic. Priorities are in no header and change
	// with every round: nodes need not agree on them.
	var power int64
	known := map[string]bool{}
	for _, v := range all {
		if err := v.ValidateBasic(); err != nil {
			return nil, badBlock(err)
		}
		if known[string(v.Address)] || v.VotingPower > cmttypes.MaxTotalVotingPower-power {
			return nil, badBlock(fmt.Errorf("validators of header %d do not make a set", height))
		}
		known[string(v.Address)] = true
		power += v.VotingPower
		v.ProposerPriority = 0
	}
	set, err := cmttypes.ValidatorSetFromExistingValidators(all)
	if err != nil {
		return nil, badBlock(err)
	}
	return set, nil
}

// isAbsent reports whether the reason is that a node could not be asked, or does not hold what was
// asked for: nothing speaks against what it would say.
func isAbsent(reason error) bool {
	return errors.Is(reason, ErrUnreachable) || errors.Is(reason, ErrNoBlock)
}

// failure is the kind of error when nodes fail for these reasons: the given one when a node is
// wrong, [ErrPruned] when none holds the headers any more, and nil, none of these, when that cannot
// be told because a node cannot be asked.
func failure(reasons []error, wrong error) error {
	var behind *behindError
	pruned := true
	for _, reason := range reasons {
		if !isAbsent(reason) {
			return wrong
		}
		pruned = pruned && !errors.Is(reason, ErrUnreachable) && !errors.As(reason, &behind)
	}
	if pruned {
		return fmt.Errorf("%w: ask a node that has them, or trust a newer header", ErrPruned)
	}
	return nil
}

func badBlock(err error) error {
	return provider.ErrBadLightBlock{Reason: cleanError{err}}
}
