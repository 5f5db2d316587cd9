package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A keptSink is one that a running bifrost copies to.
type keptSink struct {
	home.Sink
	copier *sink.Copier
}

// SinkStatus is how the copies in a sink go.
type SinkStatus struct {
	sink.Status
	What     string `json:"what"`
	Required bool   `json:"required"`
	// Manifest is the id of the backup that a mail server has accepted last, and Accepted when.
	// That it is stored nobody knows.
	Manifest string    `json:"manifest"`
	Accepted time.Time `json:"accepted"`
}

// events tells the metrics what becomes of backups, and wakes who copies them.
type events struct {
	*metrics
	of *service
}

// BackedUp implements homebackup.Metrics.
func (e events) BackedUp(c *homebackup.Created) {
	e.metrics.BackedUp(c)
	for _, m := range e.of.mailers {
		m.offer(c.Manifest)
	}
	if !c.Unchanged {
		e.of.wakeSinks(home.Sink.HasHome)
	}
}

// Drilled implements care.Metrics. A drill follows each envelope that was published, once the
// record of it is verified.
func (e events) Drilled(r care.DrillResult) {
	e.metrics.Drilled(r)
	e.of.wakeSinks(home.Sink.HasEnvelopes)
}

func (s *service) wakeSinks(which func(home.Sink) bool) {
	for _, k := range s.sinks {
		if which(k.Sink) {
			k.copier.Wake()
		}
	}
}

// newSinks makes what copies to the sinks of the configuration.
func (s *service) newSinks() error {
	for _, cfg := range s.cfg.Sinks {
		if cfg.IsMail() {
			m, err := newMailer(s.home, s.cfg.Backup.Dir, cfg, s.backupKeys, s.log)
			if err != nil {
				return err
			}
			s.mailers = append(s.mailers, m)
			continue
		}
		to, err := OpenSink(cfg)
		if err != nil {
			return err
		}
		var from []sink.Source
		if cfg.HasHome() {
			from = append(from, HomeSource(s.cfg.Backup.Dir))
		}
		if cfg.HasEnvelopes() {
			from = append(from, &envelopes{
				look: s.verifier.Look, member: s.member.Raw(), bySum: cfg.IsIPFS(),
				kept: s.envelopes,
			})
		}
		s.metrics.sinkSuccess.WithLabelValues(cfg.Name)
		s.sinks = append(s.sinks, keptSink{cfg, sink.NewCopier(sink.CopierConfig{
			Name: cfg.Name, URL: cfg.URL, Sink: to, Sources: from, MaxBytes: cfg.MaxBytes,
			Log: s.log,
			Copied: func(name string) {
				s.metrics.sinkSuccess.WithLabelValues(name).SetToCurrentTime()
			},
		})})
	}
	return nil
}

// backUp returns once the home is backed up, and in every sink that is required.
func (s *service) backUp(ctx context.Context) error {
	if err := s.backups.BackUp(ctx); err != nil {
		return err
	}
	for _, k := range s.sinks {
		if !k.Required {
			continue
		}
		if err := k.copier.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// closeSinks copies the last backup, for which it waits a while.
func (s *service) closeSinks() {
	ctx, cancel := context.WithTimeout(context.Background(), sinkPatience)
	defer cancel()
	var all sync.WaitGroup
	for _, k := range s.sinks {
		all.Go(func() { k.copier.Close(ctx) })
	}
	all.Wait()
}

// sinkPatience is how long the end of a process waits for copies of a last backup.
const sinkPatience = 5 * time.Second

// ConfiguredSinks are the sinks of the configuration, of which nothing more is known.
func ConfiguredSinks(cfg home.Config) []SinkStatus {
	all := []SinkStatus{}
	for _, s := range cfg.Sinks {
		all = append(all, configuredSink(s))
	}
	return all
}

func configuredSink(s home.Sink) SinkStatus {
	return SinkStatus{
		Status: sink.Status{Name: s.Name, URL: s.URL, Altered: []string{}, Unfit: []string{}},
		What:   s.Kind(), Required: s.Required,
	}
}

// CheckSink errs when a sink of the configuration cannot be opened. It asks nobody. Its error wraps
// [home.ErrConfig].
func CheckSink(cfg home.Sink) (err error) {
	if cfg.IsMail() {
		_, err = openMail(cfg)
	} else {
		_, err = OpenSink(cfg)
	}
	return err
}

func (s *service) sinkStatus() (all []SinkStatus, problems []string) {
	all = []SinkStatus{}
	for _, k := range s.sinks {
		st := configuredSink(k.Sink)
		st.Status = k.copier.Status()
		all = append(all, st)
		problems = append(problems, st.Problems()...)
	}
	for _, m := range s.mailers {
		st := m.Status()
		all = append(all, st)
		problems = append(problems, st.Problems()...)
	}
	return all, problems
}

// OpenSink returns a sink of the configuration. It asks nobody yet. Its error wraps
// [home.ErrConfig].
func OpenSink(cfg home.Sink) (sink.Sink, error) {
	credentials, err := sink.ReadCredentials(cfg.CredentialsFile)
	if err != nil {
		return nil, fmt.Errorf("%w: sink %s: %w", home.ErrConfig, cfg.Name, err)
	}
	s, err := sink.Open(cfg.URL, credentials)
	if err != nil {
		return nil, fmt.Errorf("%w: sink %s: %w", home.ErrConfig, cfg.Name, err)
	}
	return s, nil
}

// HomeSource has the backups of homes in a folder.
func HomeSource(dir string) sink.Source { return homeSource{homebackup.Files{Dir: dir}} }

type homeSource struct{ homebackup.Files }

// Read implements [sink.Source].
func (s homeSource) Read(ctx context.Context, name string) ([]byte, error) {
	data, err := s.Files.Read(ctx, name)
	if errors.Is(err, homebackup.ErrDamaged) {
		err = fmt.Errorf("%w: %w", sink.ErrUnfit, err)
	}
	return data, err
}

// IsEnvelope reports whether a file in a sink is an envelope by its name.
func IsEnvelope(name string) bool {
	id, ok := strings.CutSuffix(path.Base(name), ".age")
	hash, err := hex.DecodeString(id)
	return ok && err == nil && len(hash) == sha256.Size && restore.EnvelopeFile(hash) == name
}

// CheckEnvelope errs unless the bytes of an envelope are those that its name says.
func CheckEnvelope(name string, data []byte) error {
	sum := sha256.Sum256(data)
	if restore.EnvelopeFile(sum[:]) != name {
		return fmt.Errorf("%s: %w", name, sink.ErrAltered)
	}
	return nil
}

// IsGroup reports whether a file in a sink is a group part by its name.
func IsGroup(name string) bool {
	id, ok := strings.CutSuffix(path.Base(name), ".group")
	hash, err := hex.DecodeString(id)
	return ok && err == nil && len(hash) == sha256.Size && restore.GroupFile(hash) == name
}

// CheckGroup errs unless what is in the file of a group part has the group hash that its name says.
func CheckGroup(name string, data []byte) error {
	v, _, err := vault.ParseGroup(data)
	if err != nil || restore.GroupFile(v.SharesHash) != name {
		return fmt.Errorf("%s: %w", name, sink.ErrAltered)
	}
	return nil
}

// envelopes are those that the signer published for its live vaults, by verified records, the
// group parts of those that are split, and of vaults whose members hold the envelopes those of all
// members that are here.
type envelopes struct {
	look   func(context.Context) (care.Records, error)
	member []byte
	kept   *held.Store
	// bySum is for a sink that names all by its SHA-256: a group part has no other name there than
	// an envelope would have, and is without what stands around it in a file.
	bySum bool

	mu      sync.Mutex
	records care.Records
	named   map[string]publishedFile
}

// publishedFile is an envelope of a vault, or without a commitment its group part.
type publishedFile struct {
	vault      vault.Vault
	commitment *types.Commitment
}

// Names implements [sink.Source].
func (e *envelopes) Names(ctx context.Context) ([][]string, error) {
	records, err := e.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("which envelopes there are is not verified: %w", err)
	}
	vaults, err := records.Vaults(ctx, e.member)
	if err != nil {
		return nil, err
	}
	named, names, groups := map[string]publishedFile{}, []string{}, []string{}
	for _, v := range vaults {
		if v.Split {
			name := e.groupName(v)
			groups = append(groups, name)
			named[name] = publishedFile{vault: v}
		}
		commitments, err := e.of(ctx, records, v)
		if err != nil {
			return nil, err
		}
		for _, c := range commitments {
			name := restore.EnvelopeFile(c.Sha256)
			if _, twice := named[name]; !twice {
				names = append(names, name)
			}
			named[name] = publishedFile{v, &c}
		}
	}
	e.mu.Lock()
	e.records, e.named = records, named
	e.mu.Unlock()
	return [][]string{groups, names}, nil
}

// of are the commitments whose envelopes are copied, of one vault.
func (e *envelopes) of(
	ctx context.Context, records care.Records, v vault.Vault,
) ([]types.Commitment, error) {
	if !v.IsHeld() {
		return records.Backup(ctx, v, e.member)
	}
	backups, err := records.Backups(ctx, v)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Concat(backups...), func(c types.Commitment) bool {
		return !e.kept.Has(c.Sha256) // it is fetched, and copied then
	}), nil
}

// groupName is the name of the group part of a vault in the sink.
func (e *envelopes) groupName(v vault.Vault) string {
	if e.bySum && v.Group != nil {
		return restore.EnvelopeFile(v.Group.Sha256)
	}
	return restore.GroupFile(v.NamedGroup())
}

// Read implements [sink.Source].
func (e *envelopes) Read(ctx context.Context, name string) ([]byte, error) {
	e.mu.Lock()
	records, p := e.records, e.named[name]
	e.mu.Unlock()
	if p.commitment == nil {
		return e.readGroup(ctx, records, p.vault)
	}
	read := records.Envelope
	if p.commitment.IsHeld() {
		read = func(
			_ context.Context, _ vault.Vault, _ []byte, c types.Commitment,
		) ([]byte, error) {
			return e.kept.Get(c.Sha256)
		}
	}
	sealed, err := read(ctx, p.vault, e.member, *p.commitment)
	if err == nil && !p.commitment.Matches(sealed) {
		err = errors.New("the nodes have other bytes")
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: the envelope of vault %s: %w", sink.ErrUnfit, p.vault.Name(), err)
	}
	return sealed, err
}

func (e *envelopes) readGroup(
	ctx context.Context, records care.Records, v vault.Vault,
) ([]byte, error) {
	group, err := records.Group(ctx, v)
	if err == nil {
		err = v.CheckGroup(group)
	}
	if err == nil && !e.bySum {
		return v.EncodeGroup(group)
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: the group part of vault %s: %w", sink.ErrUnfit, v.Name(), err)
	}
	return group, err
}
