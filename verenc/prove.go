package verenc

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Prove encrypts shares to the statement's recipient key and proves it. The statement is what the
// chain's state says: its recipient key must be the public one of key, derived on this machine, and
// each share must belong to its public point.
//
// Before the proof is returned it is verified and opened. Store its bytes before they are sent,
// send the same bytes whenever they must be sent again, and do not prove the same statement twice
// without need.
//
// Secrets on edwards25519 are handled in constant time; on secp256k1, multiplying points by a share
// or a mask is not.
func Prove(key *RecipientKey, st Statement, shares []Share) ([]byte, error) {
	if err := checkSecrets(key, st, shares); err != nil {
		return nil, err
	}
	ctx, err := st.Context()
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 0, 96)
	for _, s := range shares {
		secret = append(secret, s.x.scalar()[:]...)
	}
	secret = secret[:len(secret)+32]
	defer clear(secret)
	if _, err := rand.Read(secret[len(secret)-32:]); err != nil {
		return nil, fmt.Errorf("verenc: %w", err)
	}
	salt, root, err := saltAndRoot(secret, &ctx)
	if err != nil {
		return nil, err
	}
	defer clear(root[:])
	return suite1.prove(key, st, shares, &salt, &root)
}

// saltAndRoot derives the public salt and the secret root seed from the shares followed by fresh
// randomness. Another share or another statement gives another tree even if the randomness repeats.
func saltAndRoot(secret []byte, ctx *[32]byte) (salt [32]byte, root seed, err error) {
	okm, err := hkdf.Key(sha512.New, secret, []byte(domain+"root"), string(ctx[:]), 48)
	if err != nil {
		return salt, root, fmt.Errorf("verenc: %w", err)
	}
	copy(salt[:], okm[:32])
	copy(root[:], okm[32:])
	clear(okm)
	return salt, root, nil
}

// checkSecrets checks the statement strictly, and that key and shares are those it speaks of.
func checkSecrets(key *RecipientKey, st Statement, shares []Share) error {
	if err := checkForm(st.Shares); err != nil {
		return err
	}
	if err := CheckRecipient(st.Recipient); err != nil {
		return err
	}
	if !bytes.Equal(key.public[:], st.Recipient) {
		return errors.New("verenc: the statement names another recipient key")
	}
	if err := checkPoints(st.Shares); err != nil {
		return err
	}
	if len(shares) != len(st.Shares) {
		return fmt.Errorf("verenc: %d shares and %d public points", len(shares), len(st.Shares))
	}
	for j, s := range shares {
		p := s.Public()
		if p.Group != st.Shares[j].Group || !bytes.Equal(p.Point, st.Shares[j].Point) {
			return fmt.Errorf(
				"verenc: the share of %v does not belong to its public point",
				st.Shares[j].Group,
			)
		}
	}
	return nil
}

// prove makes the one proof that belongs to salt and root.
func (p params) prove(
	key *RecipientKey,
	st Statement,
	shares []Share,
	salt *[32]byte,
	root *seed,
) ([]byte, error) {
	ctx, err := st.Context()
	if err != nil {
		return nil, err
	}
	rows, err := p.secretRows(key, &ctx, shares, salt, root)
	if err != nil {
		return nil, err
	}
	defer rows.wipe()
	d, err := commit(&ctx, salt, rows.pointsE, rows.pointsR)
	if err != nil {
		return nil, err
	}
	proof, err := p.answer(&ctx, salt, &d, rows, shares)
	if err != nil {
		return nil, err
	}

	stored, err := p.verify(st, proof)
	if err != nil {
		return nil, fmt.Errorf("own proof: %w", err)
	}
	opened, err := stored.Open(key, st.Shares)
	if err != nil {
		return nil, fmt.Errorf("own proof: %w", err)
	}
	wipeAll(opened)
	return proof, nil
}

// secretRows is everything a prover knows of the rows.
type secretRows struct {
	seeds   tree
	masks   [][]scalar // r of share j in row i, at [j][i]
	pointsE []point
	pointsR [][]point
}

func (r *secretRows) wipe() {
	clear(r.seeds)
	for _, m := range r.masks {
		clear(m)
	}
}

func (p params) secretRows(
	key *RecipientKey,
	ctx *[32]byte,
	shares []Share,
	salt *[32]byte,
	root *seed,
) (*secretRows, error) {
	pk, err := edDecode(key.public[:])
	if err != nil {
		return nil, err
	}
	rows := &secretRows{seeds: make(tree, 2*p.rows)}
	rows.seeds[1] = *root
	known := make([]bool, 2*p.rows)
	known[1] = true
	rows.seeds.grow(ctx, salt, known)

	e := make([]scalar, p.rows)
	defer clear(e)
	for i := range e {
		e[i] = ephemeral(ctx, salt, i, &rows.seeds[p.rows+i])
	}
	rows.pointsE = edwards{}.secretMults(e)
	encK := edEncodeSecret(edSecretMults(e, pk))
	for j, s := range shares {
		a, err := s.group.arithmetic()
		if err != nil {
			return nil, err
		}
		r := make([]scalar, p.rows)
		for i := range r {
			r[i] = pad(a, ctx, j, i, rows.pointsE[i], encK[i])
		}
		rows.masks = append(rows.masks, r)
		rows.pointsR = append(rows.pointsR, a.secretMults(r))
	}
	for _, k := range encK {
		clear(k)
	}
	return rows, nil
}

// answer takes the smallest admissible nonce and opens the rows that its challenge does not keep
// closed.
func (p params) answer(ctx, salt, d *[32]byte, rows *secretRows, shares []Share) ([]byte, error) {
	for nonce := uint32(0); nonce < math.MaxUint32; nonce++ {
		set, copath, ok := p.challenge(ctx, d, nonce)
		if !ok {
			continue
		}
		proof := make([]byte, 0, p.proofSize(len(copath), len(shares)))
		proof = append(proof, suite)
		proof = append(proof, salt[:]...)
		proof = append(proof, d[:]...)
		proof = binary.BigEndian.AppendUint32(proof, nonce)
		for _, v := range copath {
			proof = append(proof, rows.seeds[v][:]...)
		}
		for _, i := range set {
			proof = append(proof, rows.pointsE[i]...)
			for j, s := range shares {
				a, err := s.group.arithmetic()
				if err != nil {
					return nil, err
				}
				w := a.add(s.x.scalar(), &rows.masks[j][i])
				proof = append(proof, w[:]...)
			}
		}
		return proof, nil
	}
	return nil, errors.New("verenc: no nonce is admissible")
}
