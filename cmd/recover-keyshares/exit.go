package main

import (
	"errors"

	"github.com/tssbackup/tssbackup/bifrost/audit"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/legacy/mpcium"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/trust"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// The exit codes are part of the command's interface.
const (
	codeDone        = command.CodeDone
	codeOther       = command.CodeOther
	codeUsage       = command.CodeUsage
	codeNoBackup    = 3
	codeMnemonic    = 4
	codeCheck       = 5
	codeUnreachable = 6
	codeTrust       = 7
	codeTooFew      = 8
)

const exitCodes = `Exit codes:
  0  done
  1  anything that is not listed here, such as a different file in the way, or a
     full disk
  2  wrong usage
  3  no backup found: the chain, or what was saved of it, holds none, or proofs of
     too few members; the group part of a split vault is missing; coverage: a vault
     is not covered
  4  wrong mnemonic, or key: it is none, or it does not open what has the form of a
     backup
  5  an envelope, a keyshare, a record, a proof or a state file fails a check, a file
     is something else, or backups of mpcium are not complete
  6  no node can be reached, or none holds the block any more; no member gives an
     envelope that the members hold
  7  what the nodes say is not verified: there is no header to trust, or one node
     alone and nobody to contradict it, the trusting period is over, headers are
     pruned, the nodes contradict each other, or no answer has a valid Merkle proof
  8  rebuild: the mnemonics, or the secrets, that were given belong to fewer members
     than are needed; nothing was written
  130  interrupted (143 by SIGTERM)
When several vaults, or the two backups of a vault, fail in different ways, the
code is the first of 7, 5, 4, 6, 1, 3 that applies. It is 0 only when the keyshares
of every vault are in place.`

var (
	errMnemonic   = errors.New("wrong mnemonic")
	errNotCovered = errors.New("not covered")
)

// codeOf returns the exit code of an error, which may join several.
func codeOf(err error) int {
	if err == nil {
		return codeDone
	}
	var part incomplete
	if errors.As(err, &part) {
		return part.code
	}
	if chain.IsUntrusted(err) || errors.Is(err, trust.ErrUntrusted) {
		return codeTrust
	}
	for _, kind := range []struct {
		code int
		of   []error
	}{
		{codeCheck, []error{
			chain.ErrState, chain.ErrNoEnvelope, restore.ErrCommitment, restore.ErrKeyshares,
			envelope.ErrDamaged, envelope.ErrNotEnvelope, envelope.ErrTooLarge,
			audit.ErrCheck, rebuild.ErrState, rebuild.ErrMixed, rebuild.ErrDamaged,
			saved.ErrForeign, mpcium.ErrIncomplete, vault.ErrGroup,
		}},
		{codeTooFew, []error{rebuild.ErrTooFew}},
		{codeMnemonic, []error{
			errMnemonic, envelope.ErrWrongMnemonic, command.ErrNoWords, mpcium.ErrKey,
		}},
		{codeUnreachable, []error{chain.ErrUnreachable, chain.ErrNoBlock, held.ErrNobody}},
		{codeNoBackup, []error{
			restore.ErrNoBackup, restore.ErrNoVault, restore.ErrGroup, vault.ErrUnknown,
			chain.ErrNotFound, chain.ErrHeld,
			saved.ErrNone, errNotCovered, rebuild.ErrUnproven, mpcium.ErrNone,
		}},
	} {
		for _, target := range kind.of {
			if errors.Is(err, target) {
				return kind.code
			}
		}
	}
	return codeOther
}

// worst is the code of the whole when its parts end with these.
func worst(codes []int) int {
	for _, code := range []int{
		codeTrust, codeCheck, codeMnemonic, codeUnreachable, codeOther, codeNoBackup,
	} {
		for _, c := range codes {
			if c == code {
				return code
			}
		}
	}
	return codeDone
}
