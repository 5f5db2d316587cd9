package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// reshareTale has the vault's keys outlive a member, and a host.
func reshareTale(n *network) (steps []step, verdict string) {
	n.holders = n.members[:len(n.members)-1]
	return []step{
		{"a second host stands by for one member", n.standBy},
		{"governance starts a reshare: one leaves, one comes", n.startReshare},
		{"the next members have the vault, with its keys", n.waitForReshare},
		{"anyone can check the coverage of the next epoch", n.checkCoverage},
		{"that member's host is lost", n.loseHost},
		{"the second host acts in its place", n.failOver},
		{"the next members sign with the keys of before", n.signWithVault},
	}, "handed on. Vault %s… has other members, lost a host, and signs with the keys that it had."
}

// standBy has a second host of the victim's follow its backups.
func (n *network) standBy(ctx context.Context) (string, error) {
	first := n.members[victim].Member
	var err error
	if n.second, err = n.SecondHost(ctx, first); err != nil {
		return "", err
	}
	if err := n.StartStandby(n.second, first.Backups); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s follows the backups of %s, and acts in nothing",
		n.second.SignerName(), first.SignerName()), n.WaitStandby(ctx, n.second)
}

// startReshare has governance hand the vault on to all but the first of its members, and to the one
// that is in none yet.
func (n *network) startReshare(ctx context.Context) (string, error) {
	n.holders = n.members[1:]
	return n.open(ctx, n.StartReshare(ctx, n.vault.Vault, processesOf(n.holders)...))
}

// waitForReshare waits for the next epoch, which has the vault's keys.
func (n *network) waitForReshare(ctx context.Context) (string, error) {
	before := n.vault
	keys, err := n.waitForVault(ctx)
	same := n.vault.Vault == before.Vault && n.vault.PubKeyEd25519 == before.PubKeyEd25519
	if err == nil && !same {
		err = errors.New("the reshare gave the vault other keys")
	}
	return fmt.Sprintf("epoch %s after epoch %s, and the same keys\n%s",
		n.vault.Epoch, before.Epoch, keys), err
}

// loseHost loses a host between two moments, with all that it had. Its backups are elsewhere.
func (n *network) loseHost(context.Context) (string, error) {
	m := n.members[victim]
	n.Kill(m.SignerName())
	return filepath.Base(m.SignerHome) + " is gone", os.RemoveAll(m.SignerHome)
}

// failOver has the second host act.
func (n *network) failOver(ctx context.Context) (string, error) {
	if err := n.PromoteSigner(ctx, n.second); err != nil {
		return "", err
	}
	if err := n.WaitSigner(ctx, n.second); err != nil {
		return "", err
	}
	m := n.members[victim]
	m.Member = n.second
	st, err := n.Status(ctx, m.SignerHome)
	return fmt.Sprintf("%s acts in term %d", m.SignerName(), st.Term.Term), err
}
