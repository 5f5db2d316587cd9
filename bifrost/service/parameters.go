package service

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

const unprovenWarning = "THIS VAULT IS NAMED UNDER trust_parameters in config.toml: this signer signs with it " +
	"although nobody has proven its members' parameters, and a member with bad ones may learn its keyshare"

// trustParameters decides whether this member signs with a vault without proofs of the other
// signers' parameters: because they gave them in the keygen, or because the operator says so.
func (s *service) trustParameters(ctx context.Context, v vault.Vault) bool {
	if slices.Contains(s.cfg.TrustParameters, v.Name()) {
		s.log.Warn().Str("vault", v.Name()).Msg(unprovenWarning)
		return true
	}
	proven, err := provenInKeygen(ctx, s.verifier.Look, v)
	if !proven {
		s.log.Warn().Err(err).Str("vault", v.Name()).
			Msg("it is not verified that a keygen of this chain made the vault: " +
				"its signers prove their parameters first")
	}
	return proven
}

// provenInKeygen reports whether the verified record of the vault, as the own node has it, says
// that a keygen of this chain gave its members their keyshares. In that keygen each of them proved
// its parameters to all others, before any of them had a keyshare. No record has another origin: a
// genesis with a vault that no keygen made is refused.
func provenInKeygen(
	ctx context.Context, look func(context.Context) (care.Records, error), v vault.Vault,
) (bool, error) {
	records, err := look(ctx)
	if err != nil {
		return false, err
	}
	verified, err := records.Vault(ctx, v.PubKey)
	if errors.Is(err, chain.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return verified.Epoch != 0 && verified.Epoch == v.Epoch &&
		bytes.Equal(verified.PubKeyEd25519, v.PubKeyEd25519) &&
		slices.EqualFunc(verified.MemberKeys(), v.MemberKeys(), bytes.Equal), nil
}
