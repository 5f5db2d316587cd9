package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
)

// Options are what a running bifrost works with.
type Options struct {
	// Home exists, and belongs to its owner alone.
	Home   string
	Config home.Config
	// Mnemonic has passed CheckSeal. Run wipes it at its end.
	Mnemonic *sanity.Mnemonic
	// Former lets bifrost run although the operator has another signer by now, for
	// the vaults that still live under this one.
	Former bool
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
	metrics *prometheus.Registry
	params  *tss.PreParams

	request      *registration.Request
	registration *registration.Watch

	// scrypt is held by whoever seals or opens an envelope.
	scrypt        sync.Mutex
	prover        *prover
	repair        *repairer
	drill         *drill
	drillSuccess  prometheus.Gauge
	drillFailures prometheus.Counter

	mu        sync.Mutex // guards what follows
	tss       *tss.Node
	publisher *publish.Publisher
	lastDrill *DrillResult // written by watchBackups alone
}

// Run runs bifrost until the context ends. Errors that wrap [home.ErrInUse],
// [home.ErrConfig] and [registration.ErrRefused] need the operator.
func Run(ctx context.Context, o Options) (err error) {
	defer o.Mnemonic.Wipe()
	if err := o.Config.Validate(); err != nil {
		return fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	unlock, err := home.Lock(o.Home)
	if err != nil {
		return err
	}
	defer unlock()

	s := &service{home: o.Home, cfg: o.Config, version: o.Version, log: o.Log, metrics: prometheus.NewRegistry()}
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
	s.log = o.Log.With().Str("signer", s.request.Address).Logger()
	s.registration = registration.NewWatch(o.Config, s.request, o.Former, s.chain, o.Mnemonic, s.log)
	s.params = tss.NewPreParams(home.PreParamsDir(o.Home), s.log)
	s.registerMetrics()
	if err := s.newCare(o.Mnemonic); err != nil {
		return err
	}
	s.log.Info().Str("chain", o.Config.ChainID).Str("node", s.chain.Name()).Str("peer_id", s.request.PeerID).Str("version", o.Version).Msg("bifrost starts")
	defer func() { s.log.Info().Err(err).Msg("bifrost stops") }()

	group, ctx := errgroup.WithContext(ctx)
	if err := s.serve(ctx, group); err != nil {
		return err
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

// work runs the ceremonies and the loop.
func (s *service) work(ctx context.Context, state registration.State, mnemonic *sanity.Mnemonic) error {
	// Before it takes part in anything. What cannot be restored now, or is not proven,
	// is tried again, and keeps the signer from nothing.
	wait := s.repair.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	private := s.key.Private()
	tssNode, err := tss.New(tss.Config{
		Key: private, ListenAddrs: s.cfg.P2P.Listen, Peers: s.cfg.P2P.Peers, Log: s.log,
		PreParams: s.params, Bech32Prefix: s.cfg.Prefix,
	})
	sanity.Wipe(private)
	if err != nil {
		return fmt.Errorf("p2p: %w", err)
	}
	defer tssNode.Close()
	publisher, err := publish.New(publish.Config{
		ChainID: s.cfg.ChainID,
		Address: s.request.Address,
		PubKey:  s.key.PubKey(),
		Prefix:  s.cfg.Prefix,
		Home:    s.home,
		Chain:   node{s.chain},
		SignTx:  signTx(s.cfg.ChainID, s.key),
		Tss:     tssNode,
		Seal: func(files []envelope.File) ([]byte, error) {
			s.scrypt.Lock()
			defer s.scrypt.Unlock()
			return envelope.Seal(files, mnemonic)
		},
		Prove:   prove(mnemonic),
		Log:     s.log,
		Metrics: publish.NewMetrics(s.metrics),
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.tss, s.publisher = tssNode, publisher
	s.mu.Unlock()
	s.log.Info().Strs("addresses", tssNode.Addrs()).Msg("other signers reach this one at")

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return publisher.Run(ctx) })
	group.Go(func() error { return s.registration.Run(ctx, state) })
	group.Go(func() error { return s.watchKeyshares(ctx, wait) })
	group.Go(func() error { return s.watchBackups(ctx, publisher.Status) })
	err = group.Wait()
	// No signing is begun any more; Close ends those that run.
	s.mu.Lock()
	s.tss = nil
	s.mu.Unlock()
	return err
}

func (s *service) registerMetrics() {
	s.metrics.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_preparams", Help: "Sets of pre-parameters that are ready.",
		}, func() float64 {
			n, _ := s.params.Count()
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_registered", Help: "1 when the chain knows this signer, 0 otherwise.",
		}, func() float64 {
			if s.registration.Status().State == registration.Ready {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_former_vaults", Help: "Live vaults of the operator that live under a former mnemonic.",
		}, func() float64 {
			return float64(len(s.registration.Status().Former))
		}),
	)
}

// Status is what a running bifrost says about itself. It holds no secret.
type Status struct {
	Version  string `json:"version"`
	ChainID  string `json:"chain_id"`
	Node     string `json:"node"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	PubKey   string `json:"pub_key"`
	PeerID   string `json:"peer_id"`
	// Addrs are where other signers reach this one.
	Addrs []string           `json:"addrs"`
	State registration.State `json:"state"`
	Error string             `json:"error,omitempty"`
	// RegisterCommand is set while the signer is not registered.
	RegisterCommand string                     `json:"register_command,omitempty"`
	PreParams       int                        `json:"preparams"`
	FormerVaults    []registration.FormerVault `json:"former_vaults"`
	Publish         *publish.Status            `json:"publish,omitempty"`
	// Trust is the latest header that was verified.
	Trust *TrustedHeader `json:"trust,omitempty"`
	// Drill is the latest fire drill.
	Drill *DrillResult `json:"drill,omitempty"`
	// Problems are what keeps bifrost from being healthy; there are none when it
	// is.
	Problems []string `json:"problems"`
}

// maxPollAge is the age of the last look at the chain from which bifrost is not
// healthy.
const maxPollAge = time.Minute

func (s *service) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.registration.Status()
	st := Status{
		Version: s.version, ChainID: s.cfg.ChainID, Node: s.chain.Name(), Operator: s.cfg.Operator,
		Address: s.request.Address, PubKey: s.request.PubKey, PeerID: s.request.PeerID,
		Addrs: []string{}, State: known.State, Error: known.Error, RegisterCommand: known.Command,
		FormerVaults: known.Former, Problems: append([]string{}, known.Problems()...),
	}
	problem := func(format string, args ...any) { st.Problems = append(st.Problems, fmt.Sprintf(format, args...)) }
	var err error
	if st.PreParams, err = s.params.Count(); err != nil {
		problem("pre-parameters: %v", err)
	}
	var unproven string
	if st.Trust, unproven = s.prover.status(); unproven != "" {
		problem("%s", unproven)
	}
	st.Problems = append(st.Problems, s.repair.list()...)
	if s.lastDrill != nil {
		st.Drill = s.lastDrill
		if s.lastDrill.Error != "" {
			problem("the fire drill of %s failed: %s", s.lastDrill.Time.Format(time.RFC3339), s.lastDrill.Error)
		}
	}
	if s.tss != nil {
		st.Addrs = append(st.Addrs, s.tss.Addrs()...)
	}
	if s.publisher == nil {
		return st
	}
	p := s.publisher.Status()
	st.Publish = &p
	if p.LastPoll.IsZero() {
		problem("no look at the chain has worked yet: %s", p.Error)
	} else if age := time.Since(p.LastPoll); age > maxPollAge {
		problem("the last look at the chain that worked was %s ago: %s", age.Round(time.Second), p.Error)
	}
	if p.SealError != "" {
		problem("no backup can be sealed: %s", p.SealError)
	}
	if p.ProofError != "" {
		problem("no backup can be proven: %s", p.ProofError)
	}
	for _, r := range p.Outbox {
		if r.Error != "" {
			name := "backup of vault " + r.Vault
			if r.KeygenID != 0 {
				name = fmt.Sprintf("keygen %d", r.KeygenID)
			}
			problem("%s: %s", name, r.Error)
		}
	}
	for _, v := range p.Vaults {
		switch {
		case !v.Keyshares:
			problem("vault %s: its keyshares are not here; recover them", v.Vault)
		case v.Asked && !v.Published:
			problem("vault %s: its backup is not published", v.Vault)
		}
	}
	return st
}
