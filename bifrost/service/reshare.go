package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// reshares are the ceremonies of reshares, and what they hand on. That a node says so is not enough
// to deal a share to those whom it names, so all of it is verified.
type reshares struct {
	*tss.Node
	s *service
}

// Present implements [publish.Reshares].
func (r reshares) Present(ctx context.Context, k vault.Keygen) (p publish.Present, err error) {
	err = r.s.verified(ctx, func(records care.Records) (behind bool, err error) {
		p, behind, err = presentOf(ctx, records, k)
		return behind, err
	})
	return p, err
}

// presentOf is what a reshare, as a node shows it, hands on by verified records. They are behind
// when they are of a block before it opened.
func presentOf(
	ctx context.Context, records care.Records, k vault.Keygen,
) (p publish.Present, behind bool, err error) {
	if records.Height() < k.OpenedHeight {
		return p, true, fmt.Errorf("the verified records are of block %d, before reshare %d",
			records.Height(), k.Id)
	}
	of, err := records.Keygen(ctx, k.Id)
	if err != nil {
		return p, false, err
	}
	if !sameReshare(of, k) {
		return p, false, fmt.Errorf("reshare %d is not verified to be as the node shows it", k.Id)
	}
	if p.Vault, err = records.Vault(ctx, of.Reshare.Vault); err != nil {
		return p, false, err
	}
	if p.Epoch != of.Reshare.Epoch {
		return p, false, fmt.Errorf("vault %s is in epoch %d, and reshare %d is of epoch %d",
			p.Name(), p.Epoch, k.Id, of.Reshare.Epoch)
	}
	proofs, err := records.Proofs(ctx, p.Vault)
	if err != nil {
		return p, false, err
	}
	if p.Shares = proofs.Shares; p.Shares.IsEmpty() {
		err = fmt.Errorf("state has no public shares of vault %s", p.Name())
	}
	return p, false, err
}

// sameReshare reports whether two keygens are one reshare: of the same epoch, to the same members.
// Who may deal changes while it is open.
func sameReshare(a, b vault.Keygen) bool {
	return a.Reshare != nil && b.Reshare != nil &&
		a.Id == b.Id && a.OpenedHeight == b.OpenedHeight && a.Deadline == b.Deadline &&
		bytes.Equal(a.Reshare.Vault, b.Reshare.Vault) && a.Reshare.Epoch == b.Reshare.Epoch &&
		a.Threshold == b.Threshold && a.Split == b.Split && a.Deal == b.Deal &&
		slices.EqualFunc(vault.MemberKeys(a.Members), vault.MemberKeys(b.Members), bytes.Equal)
}

const (
	// lookAgain is the time until verified records that are behind are looked at again, and
	// maxLooks how often they are.
	lookAgain = time.Second
	maxLooks  = 15
)

// verified reads from verified records, which are no older than ten minutes. They are a block
// behind what a node shows, so it looks again while they are found to be behind, for some blocks.
func (s *service) verified(
	ctx context.Context, read func(records care.Records) (behind bool, err error),
) error {
	for looks := 1; ; looks++ {
		records, err := s.verifier.Look(ctx)
		if err == nil {
			err = checkAge(records)
		}
		if err != nil {
			return err
		}
		behind, err := read(records)
		if !behind || looks == maxLooks {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// verifiedVault is a vault by its name: its record decides of which epoch the keyshares are that
// sign, and who signs with them, so a node is not believed.
func (s *service) verifiedVault(ctx context.Context, name string) (v vault.Vault, err error) {
	shown, err := s.chain.Vault(ctx, name)
	if err != nil {
		return v, err
	}
	err = s.verified(ctx, func(records care.Records) (behind bool, err error) {
		v, err = records.Vault(ctx, shown.PubKey)
		behind = errors.Is(err, chain.ErrNotFound) || err == nil && v.Epoch < shown.Epoch
		return behind, err
	})
	return v, err
}
