package types

import (
	"bytes"
	"errors"
	"fmt"
)

// checkOwned checks whether each member's operator is known.
func (g genesisIndex) checkOwned(members []Member) error {
	for i, m := range members {
		if _, ok := g.owners[string(m.Address())]; !ok {
			return fmt.Errorf("member %d was never registered", i)
		}
	}
	return nil
}

func (g genesisIndex) checkVaults(gs GenesisState) error {
	var last []byte
	epochs := 0
	for i, gv := range gs.Vaults {
		v := gv.Vault
		if err := CheckPubKey(gv.PubKey); err != nil {
			return fmt.Errorf("vault %d: %w", i, err)
		}
		if bytes.Compare(last, gv.PubKey) >= 0 {
			return fmt.Errorf("vault %d is not in ascending order", i)
		}
		last = gv.PubKey
		if err := CheckPubKeyEd25519(v.PubKeyEd25519); err != nil {
			return fmt.Errorf("vault %d: %w", i, err)
		}
		if err := checkMembers(v.Members, v.Threshold); err != nil {
			return fmt.Errorf("vault %d: %w", i, err)
		}
		if err := g.checkOwned(v.Members); err != nil {
			return fmt.Errorf("vault %d: %w", i, err)
		}
		k := g.keygens[v.Epoch]
		first, made := g.keygens[v.FirstEpoch()], g.made[v.FirstEpoch()]
		if !bytes.Equal(made, gv.PubKey) || first.ChurnId != v.ChurnId || first.Reshare != nil {
			return fmt.Errorf("vault %d was not made by its keygen", i)
		}
		if err := g.checkEpochs(gv); err != nil {
			return fmt.Errorf("vault %d: %w", i, err)
		}
		epochs += 1 + len(v.Former)
		if v.Split != k.Split {
			return fmt.Errorf("vault %d is split and its keygen is not, or the other way round", i)
		}
		if v.Placement != k.Placement {
			return fmt.Errorf("vault %d has another placement than its keygen", i)
		}
		if v.Split && v.IsLive() && len(v.SharesHash) == 0 {
			return fmt.Errorf("vault %d lives without its group part", i)
		}
		if err := v.checkGroupName(); err != nil {
			return fmt.Errorf("vault %d: %w", i, err)
		}
		if v.Threshold != k.Threshold {
			return fmt.Errorf("vault %d has another threshold than its keygen", i)
		}
		if v.Needed != k.Needed || v.Needed < v.Threshold || int(v.Needed) > len(v.Members) {
			return fmt.Errorf("vault %d: needed is not its keygen's, or out of bounds", i)
		}
		if v.ChurnId > gs.LiveChurnId {
			return fmt.Errorf("vault %d is newer than the list of live vaults", i)
		}
		if v.ActiveHeight != g.churns[v.ChurnId].ClosedHeight {
			return fmt.Errorf("vault %d was not active when its churn closed", i)
		}
		ok := false
		switch v.Status {
		case VaultStatus_VAULT_STATUS_ACTIVE:
			ok = v.RetiringHeight == 0 && v.RetiredHeight == 0 && v.ChurnId == gs.LiveChurnId
		case VaultStatus_VAULT_STATUS_RETIRING:
			ok = v.RetiringHeight > v.ActiveHeight && v.RetiredHeight == 0
		case VaultStatus_VAULT_STATUS_RETIRED:
			ok = v.RetiringHeight > v.ActiveHeight && v.RetiredHeight >= v.RetiringHeight
		}
		if !ok {
			return fmt.Errorf("vault %d: status and heights do not fit", i)
		}
		g.vaults[string(gv.PubKey)] = v
	}
	if epochs != len(g.made) {
		return errors.New("a keygen's vault is missing, or not in its epoch")
	}
	c := g.churns[gs.LiveChurnId]
	if gs.LiveChurnId != 0 && c.Status != ChurnStatus_CHURN_STATUS_COMPLETE {
		return errors.New("live churn is not complete")
	}
	return nil
}

func (g genesisIndex) checkVotes(gs GenesisState) error {
	var lastID uint64
	var last []byte
	type result struct {
		keygen uint64
		key    string
	}
	count := map[result]uint32{}
	ready, brought := map[uint64]bool{}, map[uint64]bool{}
	for i, v := range gs.Votes {
		k, ok := g.keygens[v.KeygenId]
		if !ok {
			return fmt.Errorf("vote %d is on no keygen", i)
		}
		m, ok := FindMember(k.Members, v.Member)
		if !ok || k.Ended != nil {
			return fmt.Errorf("vote %d is not a member's, or on a keygen that was an epoch", i)
		}
		if v.KeygenId < lastID || v.KeygenId == lastID && bytes.Compare(last, v.Member) >= 0 {
			return fmt.Errorf("vote %d is not in ascending order", i)
		}
		lastID, last = v.KeygenId, v.Member
		if err := checkVote(v.Vote, m, k); err != nil {
			return fmt.Errorf("vote %d: %w", i, err)
		}
		c, certified := g.certificates[v.KeygenId]
		switch failed := k.Status == KeygenStatus_KEYGEN_STATUS_FAILED; {
		case failed: // its certificate is gone
		case v.Vote.Result == nil && certified:
			return fmt.Errorf("vote %d is a blame, and there is a certificate", i)
		case v.Vote.Result != nil && v.Vote.Result.Key() != c.Result.Key():
			return fmt.Errorf("vote %d is for another result than the certificate", i)
		case v.Vote.Commitment != nil && k.IsHeld():
			held, _ := c.Envelope(k.Members, v.Member)
			if voted := v.Vote.Commitment; voted.Height != v.Vote.Height ||
				voted.Size_ != held.Size_ || !bytes.Equal(voted.Sha256, held.Sha256) {
				return fmt.Errorf("vote %d has another envelope than the certificate", i)
			}
		}
		if v.Vote.Result == nil || k.Status == KeygenStatus_KEYGEN_STATUS_FAILED {
			continue
		}
		brought[v.KeygenId] = brought[v.KeygenId] || v.Vote.Height == c.Height
		vault, exists := g.vaults[string(v.Vote.Result.PubKey)]
		switch {
		case k.Reshare == nil && exists:
			return fmt.Errorf("vote %d is for a vault that exists", i)
		case k.Reshare != nil && (!bytes.Equal(v.Vote.Result.PubKey, k.Reshare.Vault) ||
			!bytes.Equal(v.Vote.Result.PubKeyEd25519, vault.PubKeyEd25519)):
			return fmt.Errorf("vote %d changes the keys of the vault that is reshared", i)
		}
		if v.Vote.Commitment != nil && bytes.Equal(v.Vote.Result.PubKey, k.Vault) {
			r := result{v.KeygenId, v.Vote.Result.Key()}
			count[r]++
			ready[v.KeygenId] = ready[v.KeygenId] || count[r] >= k.Needed
		}
	}
	// What a result says was checked with the vote that brought it, which stays as long.
	for i, c := range gs.Certificates {
		if !brought[c.KeygenId] {
			return fmt.Errorf("certificate %d was brought by no vote", i)
		}
	}
	return g.checkReady(gs, ready)
}

// checkReady checks whether each keygen that waits for its siblings has the votes for its vault and
// that vault's signatures, and has it alone. The end of a block relies on all of it.
func (g genesisIndex) checkReady(gs GenesisState, ready map[uint64]bool) error {
	open, ok := gs.OpenChurn()
	if !ok {
		return nil
	}
	vaults := map[string]bool{}
	for _, k := range gs.Keygens {
		if k.ChurnId != open.Id || k.Status != KeygenStatus_KEYGEN_STATUS_READY {
			continue
		}
		if !ready[k.Id] || !g.certificates[k.Id].IsChecked() {
			return fmt.Errorf("keygen %d is ready without votes and signatures for its vault", k.Id)
		}
		if vaults[string(k.Vault)] {
			return fmt.Errorf("keygen %d has the vault of another", k.Id)
		}
		vaults[string(k.Vault)] = true
	}
	return nil
}

func checkVote(v Vote, m Member, k Keygen) error {
	if v.Height < k.OpenedHeight || v.Height > k.Deadline {
		return errors.New("height is not in its keygen")
	}
	if v.Result == nil {
		if v.Commitment != nil || v.Height <= k.CertificateDeadline() {
			return errors.New("a blame with an envelope, or one that is too early")
		}
		for _, addr := range v.Blamed {
			if err := checkAddress(addr); err != nil {
				return err
			}
		}
		return nil
	}
	if len(v.Blamed) != 0 || (v.Commitment != nil) != m.Asked {
		return errors.New("a result with a blame, or an envelope that does not fit what was asked")
	}
	if err := checkResult(*v.Result, k); err != nil {
		return err
	}
	if v.Commitment != nil {
		return checkCommitment(*v.Commitment, k.Placement)
	}
	return nil
}

func (g genesisIndex) checkAttempts(gs GenesisState) error {
	if err := g.checkCounts(gs.JoinAttempts, MaxExemptJoins); err != nil {
		return fmt.Errorf("joins: %w", err)
	}
	return g.checkCounts(gs.Attempts, MaxExemptAttempts)
}

func (g genesisIndex) checkCounts(counts []GenesisAttempt, limit uint64) error {
	var lastID uint64
	var last []byte
	for i, a := range counts {
		k, ok := g.keygens[a.KeygenId]
		if !ok {
			return fmt.Errorf("attempt %d is for no keygen", i)
		}
		_, member := FindMember(g.membersOf(k.Id), a.Member)
		if !member && !g.isOfReshared(k, a.Member) {
			return fmt.Errorf("attempt %d is not a member's", i)
		}
		if a.Count < 1 || a.Count > limit {
			return fmt.Errorf("attempt %d is not in 1 to %d", i, limit)
		}
		if a.KeygenId < lastID || a.KeygenId == lastID && bytes.Compare(last, a.Member) >= 0 {
			return fmt.Errorf("attempt %d is not in ascending order", i)
		}
		lastID, last = a.KeygenId, a.Member
	}
	return nil
}

// checkSessions checks the joins and the latest attempts of keygens that are open, or wait for
// their siblings, which fit each other.
func (g genesisIndex) checkSessions(gs GenesisState) error {
	joined, attempts := map[uint64]uint32{}, map[uint64]uint64{}
	ready := map[uint64]uint32{} // of those who may deal
	var last GenesisSession
	for i, s := range gs.Sessions {
		k, ok := g.keygens[s.KeygenId]
		if !ok || !inCeremony(k) {
			return fmt.Errorf("session %d is of no open keygen", i)
		}
		if i > 0 && s.KeygenId <= last.KeygenId {
			return fmt.Errorf("session %d is not in ascending order", i)
		}
		last = s
		begun := s.Session.Attempt > 0
		if begun != (len(s.Session.Id) == HashSize) ||
			begun != (len(s.Session.Members) == len(k.Members)) ||
			begun != (s.Session.Height >= k.OpenedHeight) || s.Session.Height > k.JoinDeadline() ||
			int(s.Session.Joined) > len(k.Members) ||
			k.Reshare == nil && int(s.Session.Joined) == len(k.Members) {
			return fmt.Errorf("session %d is malformed", i)
		}
		if err := g.checkDealers(k, s.Session); err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		for _, j := range s.Session.Members {
			if err := checkJoin(j, k); err != nil || j.Attempt != s.Session.Attempt {
				return fmt.Errorf("session %d has a malformed join", i)
			}
		}
		attempts[s.KeygenId] = s.Session.Attempt
		g.sessions[s.KeygenId] = s.Session
	}
	var before GenesisJoin
	for i, j := range gs.Joins {
		k, ok := g.keygens[j.KeygenId]
		attempt, begun := attempts[j.KeygenId]
		_, member := FindMember(k.Members, j.Member)
		_, deals := FindMember(g.dealing(k).Members, j.Member)
		if !ok || !begun || !member && !deals && !g.isOfReshared(k, j.Member) {
			return fmt.Errorf("join %d is of no member of an open keygen", i)
		}
		for _, addr := range j.Join.FailedBy {
			if !g.isOfReshared(k, addr) {
				return fmt.Errorf("join %d names who does not deal", i)
			}
		}
		if j.KeygenId < before.KeygenId ||
			j.KeygenId == before.KeygenId && bytes.Compare(before.Member, j.Member) >= 0 {
			return fmt.Errorf("join %d is not in ascending order", i)
		}
		before = j
		if err := checkJoin(j.Join, k); err != nil || j.Join.Attempt > attempt+1 {
			return fmt.Errorf("join %d is malformed", i)
		}
		if j.Join.Attempt != attempt+1 {
			continue
		}
		if member {
			joined[j.KeygenId]++
		}
		if deals {
			ready[j.KeygenId]++
		}
	}
	for i, s := range gs.Sessions {
		k := g.keygens[s.KeygenId]
		if joined[k.Id] != s.Session.Joined || ready[k.Id] != s.Session.Ready {
			return fmt.Errorf("session %d counts other joins than there are", i)
		}
		if int(s.Session.Joined) == len(k.Members) && s.Session.Ready >= g.dealing(k).Threshold {
			return fmt.Errorf("session %d waits, and nobody is missing", i)
		}
	}
	return nil
}

// inCeremony reports whether state keeps what belongs to a keygen's attempts: it is open, or ready
// with its vault not active yet.
func inCeremony(k Keygen) bool {
	return k.Status == KeygenStatus_KEYGEN_STATUS_OPEN ||
		k.Status == KeygenStatus_KEYGEN_STATUS_READY && len(k.Members) != 0 && k.Ended == nil
}

// checkCertificates checks the certificates of keygens whose vaults are not active yet, each of the
// latest session.
func (g genesisIndex) checkCertificates(gs GenesisState) error {
	var last uint64
	for i, gc := range gs.Certificates {
		k, ok := g.keygens[gc.KeygenId]
		if !ok || !inCeremony(k) {
			return fmt.Errorf("certificate %d is of no open keygen", i)
		}
		if gc.KeygenId <= last {
			return fmt.Errorf("certificate %d is not in ascending order", i)
		}
		last = gc.KeygenId
		c, s := gc.Certificate, g.sessions[gc.KeygenId]
		if c.Attempt == 0 || c.Attempt != s.Attempt ||
			c.Height < s.Height || c.Height > k.CertificateDeadline() {
			return fmt.Errorf("certificate %d is not of the latest session", i)
		}
		if err := errors.Join(checkResult(c.Result, k), c.checkEnvelopes(k)); err != nil {
			return fmt.Errorf("certificate %d: %w", i, err)
		}
		signed := len(c.Signature) == SignatureSize && len(c.SignatureEd25519) == SignatureSize
		if !signed && (len(c.Signature) != 0 || len(c.SignatureEd25519) != 0) {
			return fmt.Errorf("certificate %d has malformed signatures of its vault", i)
		}
		g.certificates[gc.KeygenId] = c
	}
	return nil
}

func checkResult(r Result, k Keygen) error {
	if err := CheckPubKey(r.PubKey); err != nil {
		return err
	}
	if n := len(r.EnvelopesHash); k.IsHeld() && n != HashSize || !k.IsHeld() && n != 0 {
		return errors.New("it names no envelopes that the members hold, or the other way round")
	}
	return CheckPubKeyEd25519(r.PubKeyEd25519)
}

func checkJoin(j Join, k Keygen) error {
	if len(j.Nonce) != NonceSize || j.Attempt == 0 ||
		j.Height < k.OpenedHeight || j.Height > k.JoinDeadline() {
		return ErrInvalidJoin
	}
	return CheckPubKey(j.SessionKey)
}

func (g genesisIndex) checkBackups(gs GenesisState) error {
	var lastEpoch uint64
	var last []byte
	for i, b := range gs.Backups {
		if _, ok := g.made[b.Epoch]; !ok {
			return fmt.Errorf("backup %d is of no epoch of a vault", i)
		}
		if _, ok := FindMember(g.membersOf(b.Epoch), b.Member); !ok {
			return fmt.Errorf("backup %d is not a member's", i)
		}
		if b.Epoch < lastEpoch || b.Epoch == lastEpoch && bytes.Compare(last, b.Member) >= 0 {
			return fmt.Errorf("backup %d is not in ascending order", i)
		}
		lastEpoch, last = b.Epoch, b.Member
		for _, c := range b.Backup.Commitments() {
			if err := checkCommitment(c, g.keygens[b.Epoch].Placement); err != nil {
				return fmt.Errorf("backup %d: %w", i, err)
			}
		}
		if b.Backup.Latest != nil && b.Backup.Latest.Height < b.Backup.First.Height {
			return fmt.Errorf("backup %d: the latest is before the first", i)
		}
	}
	return nil
}

// checkAddress bounds a raw address as the SDK does.
func checkAddress(addr []byte) error {
	if len(addr) == 0 || len(addr) > 255 {
		return errors.New("address is empty or longer than 255 bytes")
	}
	return nil
}

// checkChurnExpiries checks when failed churns and the failed tries of others are deleted.
func (g genesisIndex) checkChurnExpiries(gs GenesisState) error {
	var last GenesisChurnExpiry
	seen := map[uint64]bool{}
	for i, e := range gs.ChurnExpiries {
		c, ok := g.churns[e.ChurnId]
		failed := c.Status == ChurnStatus_CHURN_STATUS_FAILED ||
			c.Status == ChurnStatus_CHURN_STATUS_COMPLETE && len(c.FailedIds) != 0
		if !ok || !failed || seen[e.ChurnId] {
			return fmt.Errorf("churn expiry %d is of no failed keygen, or of one that has one", i)
		}
		seen[e.ChurnId] = true
		if e.Height <= c.ClosedHeight {
			return fmt.Errorf("churn expiry %d is not after the churn closed", i)
		}
		if e.Height < last.Height || e.Height == last.Height && e.ChurnId <= last.ChurnId {
			return fmt.Errorf("churn expiry %d is not in ascending order", i)
		}
		last = e
	}
	return nil
}
