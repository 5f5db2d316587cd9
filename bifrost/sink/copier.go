package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/internal/recurring"
)

const (
	// firstRetry is the time after which a copy that failed is tried again, the first time.
	firstRetry = 2 * time.Second
	// period is the time between two looks at the names in a sink, and lookAt between two at the
	// bytes.
	period = time.Hour
	lookAt = 24 * time.Hour
	// maxRetry is the longest time from one try that failed to the next.
	maxRetry = 15 * time.Minute
)

// A CopierConfig says what is copied where.
type CopierConfig struct {
	Name, URL string
	Sink      Sink
	Sources   []Source
	MaxBytes  int64
	Log       zerolog.Logger
	// Copied is told the name after each copy that worked.
	Copied func(name string)
}

// A Copier keeps a sink up to date: at the start, whenever it is woken, and hourly. Daily it
// compares the bytes of all that is there. What fails is tried again, for ever.
type Copier struct {
	cfg CopierConfig
	job *recurring.Job
	now func() time.Time
	// compared is when all bytes were.
	compared time.Time

	mu     sync.Mutex
	status Status
	// seen are the files that the sink was known to hold.
	seen map[string]bool
}

// Status is what an operator may know of a [Copier].
type Status struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Files and Bytes are what the sink held of the sources at LastSuccess, which is zero before.
	Files       int       `json:"files"`
	Bytes       int64     `json:"bytes"`
	LastSuccess time.Time `json:"last_success"`
	// Lost counts the files that the sink had lost, since this process began. They were copied
	// again.
	Lost int `json:"lost"`
	// Altered are names under which the sink holds other bytes.
	Altered []string `json:"altered"`
	// Unfit are damaged files of this host, which are not copied.
	Unfit []string `json:"unfit"`
	// Error is why the last try failed, empty when it did not.
	Error string `json:"error"`
}

// Problems are what keeps a sink from being of use as it should be.
func (s Status) Problems() (problems []string) {
	if s.Error != "" {
		problems = append(problems, fmt.Sprintf("sink %s: %s", s.Name, s.Error))
	}
	for _, f := range s.Unfit {
		problems = append(problems, fmt.Sprintf("sink %s lacks a damaged file: %s", s.Name, f))
	}
	if s.Lost > 0 {
		problems = append(problems, fmt.Sprintf("sink %s had lost %d files, which were copied again: "+
			"does a rule of its server delete, or somebody?", s.Name, s.Lost))
	}
	return problems
}

// NewCopier copies nothing yet.
func NewCopier(cfg CopierConfig) *Copier {
	c := &Copier{cfg: cfg, now: time.Now, seen: map[string]bool{}, status: Status{
		Name: cfg.Name, URL: cfg.URL, Altered: []string{}, Unfit: []string{},
	}}
	c.job = recurring.New(period, firstRetry, maxRetry, c.copy)
	return c
}

// Run copies until the context ends. A sink that hangs holds up nobody but who waits for it.
func (c *Copier) Run(ctx context.Context) { c.job.Run(ctx) }

// Wake has the copier look for what is new.
func (c *Copier) Wake() { c.job.Wake() }

// Wait returns once all that there was at the call is in the sink, or the context has ended with
// its error.
func (c *Copier) Wait(ctx context.Context) error { return c.job.Wait(ctx) }

// Close copies what the copier was last woken for, if it ended before. It does not run any more.
func (c *Copier) Close(ctx context.Context) { c.job.Finish(ctx) }

// Status is how the copies go.
func (c *Copier) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Altered, s.Unfit = slices.Clone(s.Altered), slices.Clone(s.Unfit)
	return s
}

// copy copies what the sink lacks, and compares the rest when a day is over.
func (c *Copier) copy(ctx context.Context) error {
	all := c.now().Sub(c.compared) >= lookAt
	var sum Report
	var failed []error
	for _, from := range c.cfg.Sources {
		r, err := Copy(ctx, from, c.cfg.Sink, c.cfg.MaxBytes, all)
		sum.add(r)
		failed = append(failed, err)
	}
	err := errors.Join(failed...)
	if ctx.Err() != nil {
		return ctx.Err() // it ends
	}
	if err == nil && all {
		c.compared = c.now()
	}
	c.note(sum, err)
	return err
}

// note remembers how a copy went, and logs what is new.
func (c *Copier) note(r Report, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	log := c.cfg.Log.With().Str("sink", c.cfg.Name).Logger()
	lost := 0
	for _, name := range r.Copied {
		if c.seen[name] {
			lost++
		}
	}
	for _, name := range r.Held {
		c.seen[name] = true
	}
	before := c.status
	s := &c.status
	s.Lost += lost
	if lost > 0 {
		log.Error().Int("files", lost).Msg("THE SINK HAD LOST FILES, which were copied again: does a rule " +
			"of its server delete, or somebody?")
	}
	s.Altered, s.Unfit = append([]string{}, r.Altered...), []string{}
	for _, err := range r.Unfit {
		s.Unfit = append(s.Unfit, err.Error())
	}
	if !slices.Equal(s.Unfit, before.Unfit) && len(s.Unfit) > 0 {
		log.Error().Strs("files", s.Unfit).Msg("damaged files are not copied")
	}
	if err != nil {
		s.Error = err.Error()
		event, text := log.Warn(), "nothing can be copied to the sink now; trying again"
		if errors.Is(err, ErrAltered) {
			event, text = log.Error(), "A SINK HOLDS OTHER BYTES than were copied there; they are not touched"
		}
		if s.Error != before.Error {
			event.Err(err).Msg(text)
		}
		return
	}
	s.Error, s.Files, s.Bytes, s.LastSuccess = "", len(r.Held), r.Bytes, c.now().UTC()
	c.cfg.Copied(c.cfg.Name)
	if len(r.Copied) > 0 || before.Error != "" {
		log.Info().Int("copied", len(r.Copied)).Int("files", len(r.Held)).Msg("the sink has everything")
	}
}
