package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/light/provider"
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
	// err is the last reason for which the node showed none.
	err error
	// pruned tells that the node did not hold a header any more.
	pruned bool
}

func newSource(c *Client, chainID string) *source {
	return &source{Client: c, chainID: chainID, shown: map[int64][]byte{}}
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
	s.err = err
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// The light client compares these errors with ==.
	var bad provider.ErrBadLightBlock
	var refused *RefusedError
	switch {
	case errors.As(err, &bad):
		return nil, bad
	case errors.Is(err, errNotReached):
		// provider.ErrHeightTooHigh would have the light client wait for half a minute.
		return nil, provider.ErrNoResponse
	case errors.Is(err, ErrNoBlock), errors.As(err, &refused):
		s.pruned = true
		return nil, provider.ErrLightBlockNotFound
	}
	return nil, provider.ErrNoResponse
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
	if s.err != nil && (s.pruned || s.shown[height] == nil) {
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

func (s *source) lightBlock(ctx context.Context, height int64) (*cmttypes.LightBlock, error) {
	res, err := s.rpc.Commit(ctx, &height)
	if err != nil {
		return nil, classify(ctx, err)
	}
	if res.Header == nil || res.Commit == nil {
		return nil, errNotReached
	}
	if res.Height != height {
		return nil, badBlock(fmt.Errorf("asked for header %d, got header %d", height, res.Height))
	}
	validators, err := s.validators(ctx, height)
	if err != nil {
		return nil, err
	}
	block := &cmttypes.LightBlock{SignedHeader: &res.SignedHeader, ValidatorSet: validators}
	if err := block.ValidateBasic(s.chainID); err != nil {
		return nil, badBlock(err)
	}
	return block, nil
}

const (
	validatorsPage = 100
	maxValidators  = 10_000
)

func (s *source) validators(ctx context.Context, height int64) (*cmttypes.ValidatorSet, error) {
	var all []*cmttypes.Validator
	perPage := validatorsPage
	for page := 1; ; page++ {
		res, err := s.rpc.Validators(ctx, &height, &page, &perPage)
		if err != nil {
			return nil, classify(ctx, err)
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

func badBlock(err error) error {
	return provider.ErrBadLightBlock{Reason: cleanError{err}}
}
