package keeper_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// model is the life of churns in the plainest words: what the module must do, without a store. It
// takes from the chain only what a hash decides: which members come into which keygen, and who of
// them is asked.
type model struct {
	params  types.Params
	height  int64
	next    int64 // 0: no churn opens by itself
	sitOut  map[*validator]modelSitOut
	owner   map[string]*validator // of each signer address that ever was
	churns  []*modelChurn
	keygens []*modelKeygen // of all churns
	vaults  []*modelVault
	// terms are the latest claims of each signer, and claims count those that cost no fee.
	terms  map[string]modelTerm
	claims map[string]types.Window
	// told is what hooks were told of failed keygens, and epochsBegun of reshares.
	told, epochsBegun []string
}

// modelTerm is the latest claim of a signer.
type modelTerm struct {
	number uint64
	height int64
}

// term is the one that holds in this block.
func (m *model) term(address string) uint64 {
	t, ok := m.terms[address]
	if ok && t.height == m.height {
		return t.number - 1
	}
	return t.number
}

// acts reports whether a signer has something to act for.
func (m *model) acts(address string) bool {
	if v := m.owner[address]; v.account() == address && !v.gone {
		return true
	}
	for _, v := range m.vaults {
		if _, ok := v.keygen.member(address); ok && v.live() {
			return true
		}
	}
	c := m.open()
	return c != nil && slices.ContainsFunc(c.keygens, func(k *modelKeygen) bool {
		_, ok := k.member(address)
		return ok && k.status != failed
	})
}

// modelSitOut is the latest fault of a validator: how many in a row it was, and when it is over.
type modelSitOut struct {
	until  int64
	faults int
}

type modelChurn struct {
	status types.ChurnStatus
	// named tells that no other follows when it fails, as none follows a reshare.
	named            bool
	opened, deadline int64
	closed           int64
	keygens          []*modelKeygen // the latest try of each vault
	failed           []*modelKeygen // the tries before
	expires          int64          // when what failed is deleted; 0 while that is not known
	deleted          bool
}

type modelKeygen struct {
	id        uint64
	churn     *modelChurn
	opened    int64
	deadline  int64
	try       int
	bears     int // how many of the first try may be malicious
	deleted   bool
	status    types.KeygenStatus
	members   []modelMember
	threshold int
	needed    int
	votes     map[string]modelVote
	// joined are the members that wait for the next attempt, and attempt is the latest.
	joined      map[string]bool
	attempt     int
	certificate *modelCertificate // nil while none stands
	vault       *vaultKeys        // when ready
	blamed      []string
	silent      []string
	closed      int64
	attempts    map[string]uint64 // of votes and publications
	smalls      map[string]uint64 // of joins and checks
	// requires tells that a vote counts with a proof alone.
	requires bool
	// split tells that votes bring a group part, or name it, in place of public shares.
	split bool
	// held tells that votes list the envelopes that the members hold, or name the list.
	held bool
	// reshares is the vault that the members get, nil in a keygen, and deals the epoch whose members
	// hand it over. idle are those of them that sat out, or that enough members named, and named whom
	// each names in its latest join.
	reshares *modelVault
	deals    *modelKeygen
	idle     []string
	named    map[string][]string
}

// modelCertificate is the result that all members of a keygen have.
type modelCertificate struct {
	vault   *vaultKeys
	shares  bool // the result has public shares, or a group part
	attempt int
	height  int64
	checked bool   // the vault has signed
	list    []byte // of the envelopes that the members hold
}

type modelMember struct {
	address string
	asked   bool
	key     types.Member
	// recipient is the index of the key that the member proves to.
	recipient uint32
}

type modelVote struct {
	vault  *vaultKeys // nil: a blame
	sha    string     // of the envelope, empty when not asked
	blamed []string
	height int64
	shares bool // the result comes with public shares
	proven bool
}

type modelVault struct {
	keys             vaultKeys
	status           types.VaultStatus
	active, retiring int64
	retired          int64
	*modelEpoch      // the present one
	former           []*modelEpoch
	graceUntil       int64 // of the latest former one, 0 when it has none
}

// modelEpoch is what a keygen or a reshare gave the members of a vault.
type modelEpoch struct {
	keygen      *modelKeygen
	began       int64               // 0: with the vault
	ended, over int64               // when another one followed, and when its grace was over
	backups     map[string][]string // hashes, the latest, then the first
	shares      bool                // state keeps the public shares, or the group part
	carried     int64               // the block that carries the group part, 0 without one
	proven      map[string]bool
	expires     int64 // when the proofs are deleted; 0 while that is not known
	deleted     bool
}

// epochs are those that the vault has had, the present one last.
func (v *modelVault) epochs() []*modelEpoch {
	return append(slices.Clone(v.former), v.modelEpoch)
}

// epochs are those of all vaults.
func (m *model) epochs() []*modelEpoch {
	var all []*modelEpoch
	for _, v := range m.vaults {
		all = append(all, v.epochs()...)
	}
	return all
}

// outside is how many members of an epoch are not among these.
func (e *modelEpoch) outside(addresses []string) int {
	n := 0
	for _, member := range e.keygen.members {
		if !slices.Contains(addresses, member.address) {
			n++
		}
	}
	return n
}

// margin is how many more members of one former epoch would have to leave for a threshold of it to
// be outside.
func (v *modelVault) margin() int {
	margin := 0
	for _, e := range v.former {
		left := e.keygen.threshold - e.outside(v.keygen.addresses())
		if margin == 0 || left < margin {
			margin = left
		}
	}
	return margin
}

func (m *model) open() *modelChurn {
	if len(m.churns) == 0 {
		return nil
	}
	if c := m.churns[len(m.churns)-1]; c.status == types.ChurnStatus_CHURN_STATUS_OPEN {
		return c
	}
	return nil
}

func (m *model) vaultNamed(name string) *modelVault {
	for _, v := range m.vaults {
		if v.keys.name() == name {
			return v
		}
	}
	return nil
}

func (v *modelVault) live() bool { return v.status != types.VaultStatus_VAULT_STATUS_RETIRED }

func (k *modelKeygen) member(address string) (modelMember, bool) {
	for _, m := range k.members {
		if m.address == address {
			return m, true
		}
	}
	return modelMember{}, false
}

func (k *modelKeygen) addresses() []string {
	list := make([]string, len(k.members))
	for i, m := range k.members {
		list[i] = m.address
	}
	return list
}

// able are the members of the epoch that is reshared who may deal.
func (k *modelKeygen) able() []modelMember {
	var list []modelMember
	if k.deals != nil {
		for _, m := range k.deals.members {
			if !slices.Contains(k.idle, m.address) {
				list = append(list, m)
			}
		}
	}
	return list
}

// participants are the members and, in a reshare, those of the epoch that is reshared.
func (k *modelKeygen) participants() []modelMember {
	list := slices.Clone(k.members)
	if k.deals != nil {
		for _, m := range k.deals.members {
			if _, ok := k.member(m.address); !ok {
				list = append(list, m)
			}
		}
	}
	return list
}

// participant finds one who may be named for a failure.
func (k *modelKeygen) participant(address string) (modelMember, bool) {
	for _, m := range k.participants() {
		if m.address == address {
			return m, true
		}
	}
	return modelMember{}, false
}

// begins reports whether all have joined that an attempt waits for: all members, and as many of those
// who may deal as must.
func (k *modelKeygen) begins() bool {
	for _, m := range k.members {
		if !k.joined[m.address] {
			return false
		}
	}
	if k.deals == nil {
		return true
	}
	deal := 0
	for _, m := range k.able() {
		if k.joined[m.address] {
			deal++
		}
	}
	return deal >= k.deals.threshold
}

// exclude has those not deal any more whom a threshold of the members name, once all have joined, as
// long as enough are left.
func (k *modelKeygen) exclude() {
	if k.deals == nil {
		return
	}
	count := map[string]int{}
	for _, m := range k.members {
		if !k.joined[m.address] {
			return
		}
		for _, address := range k.named[m.address] {
			count[address]++
		}
	}
	var idle []string
	for _, m := range k.deals.members {
		if count[m.address] >= k.threshold || slices.Contains(k.idle, m.address) {
			idle = append(idle, m.address)
		}
	}
	if len(k.deals.members)-len(idle) < k.deals.threshold {
		return
	}
	k.idle = idle
	for _, address := range idle {
		if _, ok := k.member(address); !ok {
			delete(k.joined, address)
		}
	}
}

// mayName reports whether a join may name these as whom attempts failed by.
func (k *modelKeygen) mayName(address string, failedBy []string) error {
	for i, a := range failedBy {
		if k.deals == nil || a == address || slices.Contains(failedBy[:i], a) {
			return types.ErrInvalidJoin
		}
		if _, ok := k.deals.member(a); !ok {
			return types.ErrInvalidJoin
		}
	}
	return nil
}

// mayVote reports whether a member may vote now.
func (k *modelKeygen) mayVote(address string) error {
	if err := k.isOpen(); err != nil {
		return err
	}
	if _, ok := k.member(address); !ok {
		return types.ErrNotMember
	}
	if _, ok := k.votes[address]; ok {
		return types.ErrAlreadyVoted
	}
	return nil
}

func (k *modelKeygen) isOpen() error {
	if k == nil || k.deleted {
		return types.ErrKeygenNotFound
	}
	if k.status != open {
		return types.ErrKeygenClosed
	}
	return nil
}

// A keygen's time has sixteen parts: in nine of them members join, and in fourteen the certificate
// comes.
func (k *modelKeygen) joinUntil() int64 { return k.opened + 9*(k.deadline-k.opened)/16 }

func (k *modelKeygen) certifyUntil() int64 { return k.opened + 14*(k.deadline-k.opened)/16 }

// mayJoin reports whether a member may join the next attempt now.
func (k *modelKeygen) mayJoin(address string, height int64) error {
	err := k.mayVote(address)
	if errors.Is(err, types.ErrNotMember) &&
		slices.ContainsFunc(k.able(), func(m modelMember) bool { return m.address == address }) {
		err = nil // it deals, and does not vote
	}
	if err != nil {
		return err
	}
	if k.certificate != nil {
		return types.ErrCertified
	}
	if height > k.joinUntil() {
		return types.ErrJoinClosed
	}
	return nil
}

// mayBlame reports whether a member may vote now that the keygen failed.
func (k *modelKeygen) mayBlame(address string, height int64) error {
	if err := k.mayVote(address); err != nil {
		return err
	}
	if k.certificate != nil {
		return types.ErrCertified
	}
	if height <= k.certifyUntil() {
		return types.ErrBlameEarly
	}
	return nil
}

// mayCheck reports whether a member may bring the vault's signatures now. It may have voted.
func (k *modelKeygen) mayCheck(address string) error {
	if err := k.mayVote(address); err != nil && !errors.Is(err, types.ErrAlreadyVoted) {
		return err
	}
	if k.certificate == nil {
		return types.ErrNoCertificate
	}
	if k.certificate.checked {
		return types.ErrCheckPresent
	}
	return nil
}

// over forgets what belongs to a keygen's ceremony, and how often members sent what is free.
func (k *modelKeygen) over() {
	k.attempt, k.certificate = 0, nil
	clear(k.joined)
	clear(k.attempts)
	clear(k.smalls)
}

// candidates are the validators that take part in a churn that opens now. Faults of theirs that do
// not count any more are forgotten.
func (m *model) candidates(vals []*validator) []*validator {
	var list []*validator
	for _, v := range vals {
		if v.registered && v.bonded && !v.gone && m.height >= m.sitOut[v].until {
			if m.faults(v) == 0 {
				delete(m.sitOut, v)
			}
			list = append(list, v)
		}
	}
	return list
}

// mayReshare says who the members of a vault's next epoch are, who of the present one does not deal,
// or why it is not reshared.
func (m *model) mayReshare(v *modelVault, named []*validator) (next, idle []string, err error) {
	switch {
	case m.open() != nil:
		return nil, nil, types.ErrChurnOpen
	case !v.live():
		return nil, nil, types.ErrVaultNotLive
	case !v.shares, v.graceUntil != 0, len(v.former) == 15:
		return nil, nil, types.ErrCannotReshare
	case len(named) > 0 && len(named) < 3:
		return nil, nil, types.ErrTooFewMembers
	}
	for _, val := range named {
		switch {
		case val.gone:
			return nil, nil, types.ErrInvalidOperator
		case m.height < m.sitOut[val].until:
			return nil, nil, types.ErrSitsOut
		}
		next = append(next, val.account())
	}
	for _, member := range v.keygen.members {
		val := m.owner[member.address]
		sits := m.height < m.sitOut[val].until
		if sits {
			idle = append(idle, member.address)
		}
		if len(named) == 0 && val.bonded && !val.gone && !sits {
			next = append(next, val.account())
		}
	}
	switch {
	case len(next) < 3:
		return nil, nil, types.ErrTooFewMembers
	case len(next) > int(m.params.MaxVaultMembers):
		return nil, nil, types.ErrCannotReshare
	case len(v.keygen.members)-len(idle) < v.keygen.threshold:
		return nil, nil, types.ErrTooFewMembers
	}
	for _, e := range v.epochs() {
		if e.outside(next) >= e.keygen.threshold {
			return nil, nil, types.ErrCannotReshare
		}
	}
	return next, idle, nil
}

// sizes are the sizes of the vaults of a churn of n members.
func (m *model) sizes(n int) []int {
	count := 1
	for n > count*int(m.params.MaxVaultMembers) {
		count++
	}
	sizes := make([]int, count)
	for i := range n {
		sizes[i%count]++
	}
	return sizes
}

// ceil is the least x with x/n at least f.
func ceil(f types.Fraction, n int) int {
	x := 0
	for uint64(x)*f.Denominator < f.Numerator*uint64(n) {
		x++
	}
	return x
}

func threshold(n int) int { return ceil(types.Fraction{Numerator: 2, Denominator: 3}, n) }

// asked is the sample, or the least that is above it and bears an absent member.
func (m *model) asked(n int) int {
	sample := max(threshold(n), ceil(m.params.Sample, n))
	asked := sample
	for m.neededOf(asked, n) == asked {
		if asked++; asked > n {
			return sample
		}
	}
	return asked
}

func (m *model) needed(n int) int { return m.neededOf(m.asked(n), n) }

func (m *model) neededOf(asked, n int) int {
	return max(threshold(n), ceil(m.params.MinCoverage, asked))
}

// endBlock does what the end of a block must do, but for the members of a churn that opens: opened
// tells that one does.
func (m *model) endBlock(vals []*validator) (opened bool) {
	if c := m.open(); c != nil {
		m.close(c)
	}
	for _, v := range m.vaults {
		if d := int64(m.params.RetirementDelay); d != 0 && v.status == types.VaultStatus_VAULT_STATUS_RETIRING &&
			m.height >= v.retiring+d && m.reshared() != v {
			m.retire(v)
		}
		if v.graceUntil != 0 && m.height >= v.graceUntil {
			m.endGrace(v)
		}
		for _, e := range v.epochs() {
			if e.expires != 0 && m.height >= e.expires {
				e.shares, e.proven, e.expires, e.deleted = false, nil, 0, true
			}
		}
	}
	m.deleteFailed()
	if m.next != 0 && m.height >= m.next && m.open() == nil {
		if len(m.candidates(vals)) >= 3 {
			return true
		}
		switch {
		case m.params.RetryInterval > 0:
			m.next = m.height + int64(m.params.RetryInterval)
		case m.params.ChurnInterval > 0:
			m.next = m.height + int64(m.params.ChurnInterval)
		default:
			m.next = 0
		}
	}
	return false
}

// deleteFailed deletes what failed in the churn that is due for the longest.
func (m *model) deleteFailed() {
	var due *modelChurn
	for _, c := range m.churns {
		if c.expires != 0 && m.height >= c.expires && (due == nil || c.expires < due.expires) {
			due = c
		}
	}
	if due == nil {
		return
	}
	due.expires = 0
	for _, k := range due.failed {
		k.deleted = true
	}
	due.failed = nil
	if due.status == types.ChurnStatus_CHURN_STATUS_FAILED {
		due.deleted = true
		for _, k := range due.keygens {
			k.deleted = true
		}
	}
}

// reshared is the vault that is being reshared, nil when none is.
func (m *model) reshared() *modelVault {
	if c := m.open(); c != nil {
		return c.keygens[0].reshares
	}
	return nil
}

// endGrace has the latest former epoch of a vault be over.
func (m *model) endGrace(v *modelVault) {
	e := v.former[len(v.former)-1]
	e.over, v.graceUntil = m.height, 0
	if m.params.ProofRetention > 0 {
		e.expires = m.height + int64(m.params.ProofRetention)
	}
}

func (m *model) retire(v *modelVault) {
	if v.graceUntil != 0 {
		m.endGrace(v)
	}
	v.status = types.VaultStatus_VAULT_STATUS_RETIRED
	v.retired = m.height
	if m.params.ProofRetention > 0 {
		v.expires = m.height + int64(m.params.ProofRetention)
	}
	clear(v.keygen.attempts)
}

// close decides the keygens of the open churn, each by itself, and then the churn.
func (m *model) close(c *modelChurn) {
	for _, k := range c.keygens {
		due := m.height >= k.deadline
		all := len(k.votes) == len(k.members) && (k.certificate == nil || k.certificate.checked)
		if k.status != open || !due && !all {
			continue
		}
		k.closed = m.height
		m.findFault(k, due)
		m.punish(k)
		if k.won() && !c.has(k.certificate.vault) {
			k.status, k.vault = ready, k.certificate.vault
			continue
		}
		k.status = failed
		k.over()
		m.told = append(m.told, m.failure(k))
	}
	count := map[types.KeygenStatus]int{}
	lost := false
	for _, k := range c.keygens {
		count[k.status]++
		if k.status == failed && (k.closed < m.height || !m.again(k)) {
			lost = true
		}
	}
	switch {
	case count[ready] == len(c.keygens):
		m.complete(c)
	case !lost:
		m.reopen(c)
	case count[open] == 0:
		m.fail(c)
	}
}

// has reports whether a keygen of the churn that is ready has this vault.
func (c *modelChurn) has(vault *vaultKeys) bool {
	return slices.ContainsFunc(c.keygens, func(k *modelKeygen) bool {
		return k.status == ready && k.vault.name() == vault.name()
	})
}

// failure is what a hook is told.
func (m *model) failure(k *modelKeygen) string {
	names := func(addresses []string) string {
		var list []string
		for _, a := range addresses {
			list = append(list, m.owner[a].valoper())
		}
		return strings.Join(list, ",")
	}
	return fmt.Sprintf("failed %d blamed [%s] silent [%s]", k.id, names(k.blamed), names(k.silent))
}

// innocent are the members of a keygen that failed who are not at fault.
func (k *modelKeygen) innocent() []modelMember {
	var list []modelMember
	for _, m := range k.members {
		if !slices.Contains(k.blamed, m.address) && !slices.Contains(k.silent, m.address) {
			list = append(list, m)
		}
	}
	return list
}

// again reports whether a keygen that failed is tried again, unless its churn is lost.
func (m *model) again(k *modelKeygen) bool {
	n := len(k.innocent())
	return len(k.churn.keygens) > 1 && k.try < int(m.params.MaxTries) && n >= 3 && threshold(n) > k.bears
}

// reopen tries the keygens that failed again. Who is asked is not known yet.
func (m *model) reopen(c *modelChurn) {
	var keep, next []*modelKeygen
	for _, k := range c.keygens {
		if k.status != failed {
			keep = append(keep, k)
			continue
		}
		c.failed = append(c.failed, k)
		again := m.newKeygen(c, m.keygens[len(m.keygens)-1].id+1, k.try+1, k.innocent())
		again.bears = k.bears
		m.keygens = append(m.keygens, again)
		next = append(next, again)
		c.deadline = max(c.deadline, again.deadline)
	}
	c.keygens = append(keep, next...)
}

// newKeygen is a keygen that opens now.
func (m *model) newKeygen(c *modelChurn, id uint64, try int, members []modelMember) *modelKeygen {
	n := len(members)
	return &modelKeygen{
		id: id, churn: c, status: open, try: try, opened: m.height, deadline: m.height + int64(m.params.KeygenDeadline),
		members: members, threshold: threshold(n), bears: n - threshold(n), needed: m.needed(n), requires: !m.params.ProofsOptional,
		split: m.params.SplitBackups, held: m.params.Placement == types.Placement_PLACEMENT_MEMBERS,
		named: map[string][]string{},
		votes: map[string]modelVote{}, attempts: map[string]uint64{}, smalls: map[string]uint64{}, joined: map[string]bool{},
	}
}

func (m *model) fail(c *modelChurn) {
	c.status, c.closed = types.ChurnStatus_CHURN_STATUS_FAILED, m.height
	for _, k := range c.keygens {
		if k.status == ready {
			k.status, k.vault, k.closed = failed, nil, m.height
			k.over()
		}
	}
	if m.params.KeygenRetention > 0 {
		c.expires = m.height + int64(m.params.KeygenRetention)
	}
	if m.params.RetryInterval > 0 && !c.named {
		m.next = m.height + int64(m.params.RetryInterval)
	}
}

func (m *model) complete(c *modelChurn) {
	c.status, c.closed = types.ChurnStatus_CHURN_STATUS_COMPLETE, m.height
	if m.params.KeygenRetention > 0 && len(c.failed) > 0 {
		c.expires = m.height + int64(m.params.KeygenRetention)
	}
	if k := c.keygens[0]; k.reshares != nil {
		m.hand(k.reshares, k)
		return
	}
	for _, v := range m.vaults {
		if v.status == types.VaultStatus_VAULT_STATUS_ACTIVE {
			v.status, v.retiring = types.VaultStatus_VAULT_STATUS_RETIRING, m.height
		}
	}
	for _, k := range c.keygens {
		m.vaults = append(m.vaults, &modelVault{
			keys: *k.vault, status: types.VaultStatus_VAULT_STATUS_ACTIVE, active: m.height,
			modelEpoch: newEpoch(k),
		})
	}
}

// hand gives a vault its next epoch, which a reshare has made.
func (m *model) hand(v *modelVault, k *modelKeygen) {
	v.ended = m.height
	v.keygen.over()
	v.former = append(v.former, v.modelEpoch)
	v.modelEpoch = newEpoch(k)
	v.began = m.height
	v.graceUntil = m.height + int64(m.params.EpochGrace)
	if m.params.EpochGrace == 0 {
		m.endGrace(v)
	}
	m.epochsBegun = append(m.epochsBegun, fmt.Sprintf("epoch %d of %s", k.id, v.keys.name()[:8]))
}

// newEpoch is what a keygen or a reshare that is ready gave its members.
func newEpoch(k *modelKeygen) *modelEpoch {
	e := &modelEpoch{keygen: k, backups: map[string][]string{}, proven: map[string]bool{}}
	e.shares = k.certificate.shares
	if k.split {
		e.carried = k.certificate.height
	}
	for address, vote := range k.votes {
		if vote.sha != "" {
			e.backups[address] = []string{vote.sha}
			if vote.proven {
				e.proven[address] = true
			}
		}
	}
	clear(k.votes)
	k.over()
	return e
}

// won reports whether a keygen has a vault: its members have a result, the vault has signed, and
// enough voted for it with an envelope. A vote comes with a proof where that is required.
func (k *modelKeygen) won() bool {
	if k.certificate == nil || !k.certificate.checked {
		return false
	}
	count := 0
	for _, vote := range k.votes {
		if vote.sha != "" {
			count++
		}
	}
	return count >= k.needed
}

// findFault says who is at fault when a keygen closes. So many members as the vault bears may be
// malicious: where more than these would pay for blame, or no more have voted, nobody does.
func (m *model) findFault(k *modelKeygen, due bool) {
	k.blamed, k.silent = nil, nil
	bears := len(k.members) - k.threshold
	var voters []string
	for _, member := range k.members {
		count := 0
		for _, vote := range k.votes {
			if slices.Contains(vote.blamed, member.address) {
				count++
			}
		}
		_, voted := k.votes[member.address]
		if count >= k.threshold {
			k.blamed = append(k.blamed, member.address)
			if voted {
				voters = append(voters, member.address)
			}
		}
		if due && !voted && len(k.votes) > bears {
			k.silent = append(k.silent, member.address)
		}
	}
	if len(voters) > bears {
		var others []string
		for _, address := range k.blamed {
			if !slices.Contains(voters, address) {
				others = append(others, address)
			}
		}
		k.blamed = others
	}
	m.findFaultOfDealers(k)
}

// findFaultOfDealers says who of an epoch that is reshared, and leaves it, is at fault: nobody when
// more of the epoch are blamed than it bears.
func (m *model) findFaultOfDealers(k *modelKeygen) {
	if k.deals == nil {
		return
	}
	named := 0
	var leave []string
	for _, member := range k.deals.members {
		count := 0
		for _, vote := range k.votes {
			if slices.Contains(vote.blamed, member.address) {
				count++
			}
		}
		if count < k.threshold {
			continue
		}
		named++
		if _, stays := k.member(member.address); !stays {
			leave = append(leave, member.address)
		}
	}
	if named <= len(k.deals.members)-k.deals.threshold {
		k.blamed = append(k.blamed, leave...)
	}
}

func (m *model) punish(k *modelKeygen) {
	if m.params.PenaltyBlocks == 0 {
		return
	}
	for _, member := range k.participants() {
		if !slices.Contains(k.blamed, member.address) && !slices.Contains(k.silent, member.address) {
			continue
		}
		v := m.owner[member.address]
		faults := m.faults(v) + 1
		blocks := int64(m.params.PenaltyBlocks)
		for i := 1; i < faults && i <= 8; i++ {
			blocks *= 2
		}
		m.sitOut[v] = modelSitOut{m.height + blocks, faults}
	}
}

// faults is how many faults in a row still count.
func (m *model) faults(v *validator) int {
	s := m.sitOut[v]
	if s.faults == 0 || m.height > s.until+int64(m.params.PenaltyWindow) {
		return 0
	}
	return s.faults
}
