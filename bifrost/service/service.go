package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/adapt"
	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Options are what a running bifrost works with.
type Options struct {
	// Home exists, and belongs to its owner alone.
	Home   string
	Config home.Config
	// Mnemonic has passed CheckSeal. Run wipes it at its end.
	Mnemonic *sanity.Mnemonic
	// Former lets bifrost run although the operator has another signer by now, for the vaults that
	// still live under this one.
	Former bool
	// Follow has this instance stand by: it waits to be promoted, and follows backups until then.
	Follow *Follow
	Log    zerolog.Logger
	// Version is shown in the status.
	Version string
}

// service is a running bifrost.
type service struct {
	home    string
	cfg     home.Config
	version string
	log     zerolog.Logger
	chain   *chain.Client
	key     *signer.Key
	metrics *metrics
	params  *tss.PreParams
	// backups is nil when the configuration has no folder for them.
	backups *homebackup.Keeper
	// follower is nil of an instance that is not to stand by.
	follower *homebackup.Follower
	sinks    []keptSink
	mailers  []*mailer
	// backupKeys open the backups.
	backupKeys homebackup.Keys
	// keyshares are opened once, for all who read or write them.
	keyshares *keystore.Store
	outbox    *outbox.Outbox
	// envelopes are those that the members hold, as far as they are here, and members asks the
	// others.
	envelopes *held.Store
	members   *held.Client
	terms     *term.Holder

	request      *registration.Request
	registration *registration.Watch

	// scrypt is held by whoever seals or opens an envelope.
	scrypt   sync.Mutex
	member   care.Member
	verifier *care.Verifier
	repairer *care.Repairer
	drill    *care.Drill

	mu        sync.Mutex // guards what follows
	tss       *tss.Node
	publisher *publish.Publisher
	keeper    *held.Keeper
}

// Run runs bifrost until the context ends. Errors that wrap [home.ErrInUse], [home.ErrConfig] and
// [registration.ErrRefused] need the operator.
func Run(ctx context.Context, o Options) (err error) {
	defer o.Mnemonic.Wipe()
	if err := o.Config.Validate(); err != nil {
		return fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	p2p := o.Config.P2P
	if err := tss.CheckAddresses(p2p.Listen, p2p.Peers, p2p.Public); err != nil {
		return fmt.Errorf("%w: p2p: %w", home.ErrConfig, err)
	}
	unlock, err := home.Lock(o.Home)
	if err != nil {
		return err
	}
	defer unlock()

	s := &service{home: o.Home, cfg: o.Config, version: o.Version, log: o.Log}
	keys, err := HomeKeys(o.Config, o.Mnemonic)
	if err != nil {
		return err
	}
	if s.chain, err = chain.New(o.Config.Node, 0); err != nil {
		return fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	if s.key, err = signer.Derive(o.Mnemonic, o.Config.HDPath); err != nil {
		return fmt.Errorf("%w: hd_path: %w", home.ErrConfig, err)
	}
	defer s.key.Wipe()
	if s.request, err = registration.NewRequest(o.Config, s.key, o.Mnemonic, 0); err != nil {
		return err
	}
	if err := s.openHome(keys); err != nil {
		return err
	}
	s.log = o.Log.With().Str("signer", s.request.Address).Logger()
	s.registration = registration.NewWatch(
		o.Config,
		s.request,
		o.Former,
		s.chain,
		o.Mnemonic,
		s.log,
	)
	s.metrics = newMetrics(s.params, s.registration)
	if err := s.newHeld(); err != nil {
		return err
	}
	if err := s.newCare(o.Mnemonic); err != nil {
		return err
	}
	if err := s.openTerm(o.Follow != nil); err != nil {
		return err
	}
	if err := s.newBackups(o.Mnemonic); err != nil {
		return err
	}
	s.newFollower(o.Follow)
	if err := s.newSinks(); err != nil {
		return err
	}
	notify, err := newNotifier(s.cfg.Notify, s.request.Address, func() []string {
		return s.status().Problems
	}, s.log)
	if err != nil {
		return err
	}
	s.metrics.of(s)
	s.log.Info().Str("chain", o.Config.ChainID).Str("node", s.chain.Name()).
		Str("peer_id", s.request.PeerID).Str("version", o.Version).Msg("bifrost starts")
	defer func() { s.log.Info().Err(err).Msg("bifrost stops") }()
	for _, name := range o.Config.TrustParameters {
		s.log.Warn().Str("vault", name).Msg(unprovenWarning)
	}

	group, ctx := errgroup.WithContext(ctx)
	if err := s.serve(ctx, group); err != nil {
		return err
	}
	defer s.closeSinks()
	for _, k := range s.sinks {
		group.Go(func() error {
			k.copier.Run(ctx)
			return nil
		})
	}
	if notify != nil {
		group.Go(func() error {
			notify.run(ctx)
			return nil
		})
	}
	for _, m := range s.mailers {
		group.Go(func() error {
			m.job.Run(ctx)
			return nil
		})
	}
	if s.backups != nil {
		defer s.backups.Close() // when nothing else runs any more
		group.Go(func() error {
			s.backups.Run(ctx)
			return nil
		})
	}
	group.Go(func() error {
		err := s.params.Generate(ctx, o.Config.PreParams)
		if err != nil && ctx.Err() == nil {
			s.log.Error().Err(err).Msg("pre-parameters cannot be made; keygens will have none")
		}
		return nil
	})
	group.Go(func() error {
		state, err := s.registration.Await(ctx)
		if err != nil {
			return err
		}
		return s.work(ctx, state, o.Mnemonic)
	})
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// HomeKeys are what the secrets in the home of a mnemonic are sealed with. Its error about the
// configured recipients wraps [home.ErrConfig].
func HomeKeys(cfg home.Config, mnemonic *sanity.Mnemonic) (*keystore.Keys, error) {
	return keysFor(mnemonic, cfg.Keystore.Recipients, "keystore.recipients")
}

// keysFor are those of a home for recipients, which the configuration has in what.
func keysFor(mnemonic *sanity.Mnemonic, recipients []string, what string) (*keystore.Keys, error) {
	identity, err := signer.HomeIdentity(mnemonic)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(identity)
	keys, err := keystore.NewKeys(identity, recipients)
	if errors.Is(err, keystore.ErrRecipients) {
		err = fmt.Errorf("%w: %s: %w", home.ErrConfig, what, err)
	}
	return keys, err
}

// BackupOwner is whose home it is, with the keys that its backups are made and opened with. The
// caller wipes its Key, and the mnemonic once nothing uses it. Its error about the configured
// recipients or the path wraps [home.ErrConfig].
func BackupOwner(
	homeDir string, cfg home.Config, mnemonic *sanity.Mnemonic,
) (o homebackup.Owner, err error) {
	keys, err := keysFor(mnemonic, cfg.BackupRecipients(),
		"backup.recipients, with those of the keystore")
	if err == nil && cfg.Backup.IncludeMnemonic {
		if err = keys.CheckOthers(cfg.Backup.Recipients); err != nil {
			err = fmt.Errorf("%w: backup.include_mnemonic: %w", home.ErrConfig, err)
		}
	}
	if err != nil {
		return o, err
	}
	key, err := signer.Derive(mnemonic, cfg.HDPath)
	if err != nil {
		return o, fmt.Errorf("%w: hd_path: %w", home.ErrConfig, err)
	}
	o = homebackup.Owner{
		Home: homeDir, ChainID: cfg.ChainID, Prefix: cfg.Prefix, Keys: keys, Key: key,
	}
	if cfg.Backup.IncludeMnemonic {
		o.Mnemonic, o.MnemonicFor = mnemonic, cfg.Backup.Recipients
	}
	return o, nil
}

// newBackups makes what keeps the backups of the home.
func (s *service) newBackups(mnemonic *sanity.Mnemonic) error {
	// What is wrong with the recipients is said at the start, with a folder or without.
	owner, err := BackupOwner(s.home, s.cfg, mnemonic)
	if err != nil {
		return err
	}
	s.backupKeys = homebackup.Keys{Home: owner.Keys, PubKey: owner.Key.PubKey()}
	if s.cfg.Backup.Dir == "" {
		owner.Key.Wipe()
		return nil
	}
	s.backups = homebackup.NewKeeper(homebackup.KeeperConfig{
		Owner: owner, Dir: s.cfg.Backup.Dir, Period: time.Duration(s.cfg.Backup.Period),
		// One that stands by makes none: the newest is that of who acts.
		Wanted: func() bool {
			return s.follower == nil || s.terms.Status().State == term.Acting
		},
		Log: s.log, Metrics: events{s.metrics, s},
	})
	return nil
}

// SealKeyshares seals the keyshares that lie in plaintext in a keystore, and returns their names.
// It seals none when one of them is another signer's: the mnemonic that it would be sealed with is
// not that of this home then. Its error wraps [registration.ErrRefused].
func SealKeyshares(store *keystore.Store, key *signer.Key) ([]string, error) {
	paths, err := store.Plain()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		data, err := durable.Read(path, keyshare.MaxFileSize)
		if err != nil {
			return nil, err
		}
		share, err := keyshare.Parse(data)
		sanity.Wipe(data)
		if err != nil {
			continue // whose it is nobody can tell, and it is kept
		}
		member := share.LocalParty()
		share.Wipe()
		if !bytes.Equal(member, key.PubKey()) {
			return nil, fmt.Errorf("%w: %s is a keyshare of another signer, %x, than that of the "+
				"mnemonic, %x", registration.ErrRefused, path, member, key.PubKey())
		}
	}
	return store.SealPlain()
}

// openHome opens what holds secrets in the home, and seals what lies there in plaintext: as bifrost
// kept it before, or as somebody put it there.
func (s *service) openHome(keys *keystore.Keys) (err error) {
	if s.keyshares, err = keystore.Open(home.KeysharesDir(s.home), keys); err != nil {
		return fmt.Errorf("keyshares: %w", err)
	}
	sealed, err := SealKeyshares(s.keyshares, s.key)
	if len(sealed) > 0 {
		s.log.Warn().Strs("files", sealed).Msg("keyshares that lay here in plaintext are sealed " +
			"now; that erases nothing from the disk, nor from copies that were made of it")
	}
	if err != nil {
		return fmt.Errorf("keyshares: %w", err)
	}
	s.outbox = outbox.NewOutbox(home.OutboxDir(s.home), keys)
	if err := s.outbox.SealPlain(s.request.Address); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	s.params = tss.NewPreParams(home.PreParamsDir(s.home), keys, s.log)
	if err := s.params.SealPlain(); err != nil {
		return fmt.Errorf("pre-parameters: %w", err)
	}
	return nil
}

// work repairs what is here, and acts in the term of this instance.
func (s *service) work(
	ctx context.Context,
	state registration.State,
	mnemonic *sanity.Mnemonic,
) error {
	// Before it takes part in anything. What cannot be restored now, or is not verified, is tried
	// again, and keeps the signer from nothing.
	wait := s.repairer.Once(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	notBefore, err := s.notBefore(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.registration.Run(ctx, state) })
	group.Go(func() error { return s.drill.Run(ctx, s.published, beats{s}) })
	group.Go(func() error { return s.repairer.Run(ctx, wait) })
	group.Go(func() error {
		for {
			number, err := s.acquire(ctx)
			if err != nil {
				return err
			}
			if s.terms.Promoted() {
				s.catchUp(ctx)
			}
			err = s.act(ctx, number, notBefore, mnemonic)
			if !errors.Is(err, term.ErrFenced) {
				return err
			}
		}
	})
	return group.Wait()
}

// openTerm makes what has one instance of the signer act.
func (s *service) openTerm(standby bool) (err error) {
	address := types.SignerAddress(s.key.PubKey())
	s.terms, err = term.Open(term.Config{
		ChainID: s.cfg.ChainID, Address: s.request.Address, Path: home.TermPath(s.home),
		Addresses: s.cfg.P2P.Claimed(),
		Chain:     s.chain,
		Sign: func(msg proto.Message, p chain.TxParams) ([]byte, error) {
			return chain.SignTx(msg, p, s.key)
		},
		Verified: func(ctx context.Context) (types.SignerTerm, error) {
			records, err := s.verifier.Look(ctx)
			if err != nil {
				return types.SignerTerm{}, err
			}
			return records.TermOf(ctx, address)
		},
		Standby: standby, Log: s.log,
	})
	return err
}

// act runs the ceremonies and the loop in a term until the context ends or the term is another
// instance's.
func (s *service) act(
	ctx context.Context, number uint64, notBefore int64, mnemonic *sanity.Mnemonic,
) error {
	s.log.Info().Uint64("term", number).Msg("this instance of the signer acts")
	networks, err := s.cfg.P2P.Prefixes()
	if err != nil {
		return fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	private := s.key.Private()
	tssNode, err := tss.New(tss.Config{
		Key: private, ListenAddrs: s.cfg.P2P.Listen, Peers: s.cfg.P2P.Peers, Log: s.log,
		Find: claims(s.chain, s.cfg.Prefix), Networks: networks,
		PreParams: s.params, Bech32Prefix: s.cfg.Prefix, Term: number,
	})
	sanity.Wipe(private)
	if err != nil {
		return fmt.Errorf("p2p: %w", err)
	}
	defer tssNode.Close()
	var backup, catchUp func(context.Context) error
	if s.backups != nil {
		backup = s.backUp
	}
	if s.follower != nil {
		catchUp = s.follower.Keyshares
	}
	publisher, err := publish.New(publish.Config{
		Backup: backup, CatchUp: catchUp, StrictBackup: s.cfg.Backup.Strict,
		NotBefore: notBefore, Term: number,
		ChainID:  s.cfg.ChainID,
		Address:  s.request.Address,
		PubKey:   s.key.PubKey(),
		Prefix:   s.cfg.Prefix,
		Outbox:   s.outbox,
		Store:    s.keyshares,
		Chain:    adapt.Node(s.chain),
		SignTx:   adapt.SignTx(s.cfg.ChainID, s.key),
		Tss:      tssNode,
		Reshares: reshares{tssNode, s},
		Seal: func(files []envelope.File, workFactor int) ([]byte, error) {
			s.scrypt.Lock()
			defer s.scrypt.Unlock()
			return adapt.Seal(mnemonic)(files, workFactor)
		},
		Prove:    adapt.Prove(mnemonic),
		Hold:     s.envelopes.Put,
		Deposit:  s.deposit,
		SignBeat: adapt.SignBeat(mnemonic),
		Log:      s.log,
		Metrics:  s.metrics,
	})
	if err != nil {
		return err
	}
	keeper := s.serveEnvelopes(tssNode)
	s.mu.Lock()
	s.tss, s.publisher, s.keeper = tssNode, publisher, keeper
	s.mu.Unlock()
	s.log.Info().Strs("addresses", tssNode.Addrs()).Msg("other signers reach this one at")

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return publisher.Run(ctx) })
	group.Go(func() error { return s.terms.Watch(ctx) })
	group.Go(func() error {
		keeper.Run(ctx)
		return nil
	})
	err = group.Wait()
	// No signing is begun any more; Close ends those that run.
	s.mu.Lock()
	s.tss, s.publisher, s.keeper = nil, nil, nil
	s.mu.Unlock()
	return err
}

// acting is the loop of this instance, nil while it does not act.
func (s *service) acting() *publish.Publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publisher
}

// published are the vaults that can be drilled, as far as this instance acts.
func (s *service) published() []string {
	publisher := s.acting()
	if publisher == nil {
		return nil
	}
	return published(publisher.Status())
}

// beats are the heartbeats of this instance while it acts.
type beats struct{ *service }

// HeartbeatsWanted implements care.Heartbeats.
func (b beats) HeartbeatsWanted() []string {
	publisher := b.acting()
	if publisher == nil {
		return nil
	}
	return publisher.HeartbeatsWanted()
}

// Heartbeat implements care.Heartbeats.
func (b beats) Heartbeat(ctx context.Context, vault string) error {
	publisher := b.acting()
	if publisher == nil {
		return errors.New("another instance of the signer acts")
	}
	return publisher.Heartbeat(ctx, vault)
}

// notBefore is the block that a keygen must open after for this signer to take part in it: 0, or in
// a home that was built from a backup the latest one when a bifrost first ran there.
func (s *service) notBefore(ctx context.Context) (int64, error) {
	r, err := home.LoadRestored(s.home)
	if err != nil || r == nil {
		return 0, err
	}
	for r.Height == 0 {
		if r.Height, err = adapt.Node(s.chain).Height(ctx); err == nil {
			if err := r.Save(s.home); err != nil {
				return 0, err
			}
			s.log.Warn().Int64("height", r.Height).Msg("this home was built from a backup: the signer takes " +
				"part in no keygen that opened up to this block")
			break
		}
		s.log.Warn().Err(err).Msg("waiting for the height of the chain, after which keygens are joined")
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(heightRetry):
		}
	}
	return r.Height, nil
}

// heightRetry is the time between two questions for the height of the chain.
const heightRetry = 2 * time.Second

// retry says that a node is asked again.
func (s *service) retry(ctx context.Context, r chain.Retry) error {
	s.log.Debug().Err(r.Err).Str("node", r.Node).Dur("wait", r.Wait).Dur("left", r.Left).
		Msg("a node is asked again")
	return chain.Pause(ctx, r)
}

// newCare makes what keeps the keyshares here and their backups fit to restore them.
func (s *service) newCare(mnemonic *sanity.Mnemonic) error {
	nodes, err := care.NewNodes(s.chain, s.cfg.Witnesses)
	if err != nil {
		return fmt.Errorf("%w: witnesses: %w", home.ErrConfig, err)
	}
	for _, node := range append([]*chain.Client{nodes.Own}, nodes.Witnesses...) {
		node.OnRetry(s.retry)
	}
	folder := home.TrustDir(s.home)
	s.verifier, err = care.NewVerifier(care.VerifierConfig{
		ChainID: s.cfg.ChainID, Prefix: s.cfg.Prefix, Trust: s.cfg.Trust,
		Member: types.SignerAddress(s.key.PubKey()), Nodes: nodes,
		Store: chain.TrustDir(folder), Folder: folder, Log: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	s.member = care.Member{
		Address:  s.request.Address,
		PubKey:   s.key.PubKey(),
		Prefix:   s.cfg.Prefix,
		Mnemonic: mnemonic,
	}
	c := care.Config{
		Member: s.member, Nodes: nodes, Verifier: s.verifier, Store: s.keyshares, Held: s.held,
		Members: s.members.Source(s.key.PubKey()), Kept: s.keptEnvelope,
		Scrypt: &s.scrypt, Log: s.log, Metrics: events{s.metrics, s},
	}
	s.repairer, s.drill = care.NewRepairer(c), care.NewDrill(c)
	return nil
}

// held is what is on this disk of a vault.
func (s *service) held(_ context.Context, v vault.Vault) (care.Held, error) {
	return s.member.Held(s.keyshares, v)
}

// published are the vaults that can be drilled.
func published(st publish.Status) []string {
	var vaults []string
	for _, v := range st.Vaults {
		if v.Published && v.Keyshares {
			vaults = append(vaults, v.Vault)
		}
	}
	return vaults
}
