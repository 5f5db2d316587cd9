//go:build adversary

package tss

import (
	"fmt"

	ecsigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// attacks are what a malicious signer does to its network, by name.
var attacks = map[string]func() tamper{
	"withholds its messages from one": func() tamper {
		return ofKeygen(func(s *session, to int, f *frame) *frame {
			if to == victim(s) && f.slot.step > 0 {
				return nil
			}
			return f
		})
	},
	"sends two versions of its first message": func() tamper {
		return ofKeygen(func(s *session, to int, f *frame) *frame {
			if to == victim(s) && f.slot.step == 0 {
				return forge(s, f, flipped(f.payload))
			}
			return f
		})
	},
	"sends a modulus of many factors": func() tamper {
		pre, err := parsePreParams(fixture.PreParams()[0].Data)
		if err != nil {
			panic(err)
		}
		forged := unprovenRound1(pre)
		n, _ := forgedModulus([]byte("session"))
		forged.PaillierN = n.Bytes()
		return sendRound1(true, forged)
	},
	"sends one a wrong share": func() tamper {
		return ofKeygen(func(s *session, _ int, f *frame) *frame {
			if f.slot.instance == 0 && f.slot.step == ecdsaKeygen.shares {
				return wrongShare(s, f, victim(s))
			}
			return f
		})
	},
	// It has no more of the signature than the others then, and tries again with them.
	"spoils the last part of a signature": func() tamper {
		return func(s *session, _ int, f *frame) *frame {
			if s.public || !ofOwn(s, f) || s.instances[0].protocol != ecdsaKeysign {
				return f
			}
			if _, last := s.step(f.slot).message.(*ecsigning.SignRound9Message); !last {
				return f
			}
			s.abandon()
			return forge(s, f, packed(&ecsigning.SignRound9Message{S: []byte{1}}))
		}
	},
}

// ofKeygen tampers with the member's own messages of keygens.
func ofKeygen(change tamper) tamper {
	return func(s *session, to int, f *frame) *frame {
		if !s.public || !ofOwn(s, f) {
			return f
		}
		return change(s, to, f)
	}
}

// victim is the member that comes after this one.
func victim(s *session) int { return (s.self + 1) % len(s.members) }

// Attack lets all nodes that this process makes from now on do one of the attacks.
func Attack(name string) error {
	attack := attacks[name]
	if attack == nil {
		return fmt.Errorf("there is no attack %q", name)
	}
	corrupt = func(n *Node) { n.tamper(attack()) }
	return nil
}
