package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/sink"
)

// listedSinks is the result of list in JSON.
type listedSinks struct {
	// Running says that a bifrost told how the copies go.
	Running bool                 `json:"running"`
	Sinks   []service.SinkStatus `json:"sinks"`
}

// sinkResult is what check or sync found in one sink, in JSON.
type sinkResult struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Files and Bytes are those that are there and in order.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Copied were not there before, and Missing are not there.
	Copied  []string `json:"copied"`
	Missing []string `json:"missing"`
	// Altered are names under which other bytes are.
	Altered []string `json:"altered"`
	// Unfit are damaged files of this host, which are not copied.
	Unfit []string `json:"unfit"`
	// Left is what the command leaves to others, and to whom; empty when there is no such thing.
	Left  string `json:"left"`
	Error string `json:"error"`
}

// sinkResults is the result of check and sync in JSON.
type sinkResults struct {
	Sinks []sinkResult `json:"sinks"`
}

func (a *app) sinkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Look after the places that keep copies",
		Long: `A sink is a folder, a bucket, a node of IPFS or a mailbox that config.toml names
under [[sink]]. A running bifrost copies there what is backed up, and looks whether
all of it is still there, but in a mailbox, into which nobody sees. These commands
need no mnemonic: every name says what its bytes are.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the sinks, and how the copies of a running bifrost go",
			Args:  cobra.NoArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return a.sinkList(cmd.Context()) },
		},
		&cobra.Command{
			Use:   "check [NAME...]",
			Short: "Read all that is in the sinks, and compare it; changes nothing",
			Long: `check reads every byte of the copies back and compares it with its name, and the
names with the folder of the backups. It exits with 5 when anything is missing or altered.`,
			RunE: func(cmd *cobra.Command, names []string) error {
				return a.eachSink(cmd.Context(), names, checkSink)
			},
		},
		&cobra.Command{
			Use:   "sync [NAME...]",
			Short: "Copy to the sinks what they lack of the backups",
			Long: `sync copies what the folder of the backups has and a sink does not. A running
bifrost does the same by itself, and copies envelopes too: it alone knows which there
are, from records that it verified. sync says of which sinks it leaves them out.`,
			RunE: func(cmd *cobra.Command, names []string) error {
				return a.eachSink(cmd.Context(), names, syncSink)
			},
		},
	)
	return cmd
}

func (a *app) sinkList(ctx context.Context) error {
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	result := &listedSinks{Sinks: []service.SinkStatus{}}
	st, err := service.NewControl(a.home).Status(ctx)
	switch {
	case err == nil:
		result.Running, result.Sinks = true, st.Sinks
	case !errors.Is(err, service.ErrNotRunning):
		return err
	default:
		result.Sinks = service.ConfiguredSinks(cfg)
	}
	return a.Print(result, func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range result.Sinks {
			fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, s.What, command.OneLine(s.URL))
			if result.Running {
				fmt.Fprintf(table, "\t\t%s\n", sinkState(s))
			}
		}
		_ = table.Flush()
	})
}

// sinkState says in a line how the copies go.
func sinkState(s service.SinkStatus) string {
	text := "nothing copied yet"
	if !s.LastSuccess.IsZero() {
		text = fmt.Sprintf("%d files, %d bytes, at %s", s.Files, s.Bytes,
			s.LastSuccess.Format(time.RFC3339))
	}
	if !s.Accepted.IsZero() {
		text = fmt.Sprintf("%s accepted at %s, which is not stored", s.Manifest,
			s.Accepted.Format(time.RFC3339))
	}
	if s.Error != "" {
		text += "; " + command.OneLine(s.Error)
	}
	return text
}

// eachSink does the same with the sinks of these names, or with all.
func (a *app) eachSink(
	ctx context.Context,
	names []string,
	do func(ctx context.Context, cfg home.Config, s home.Sink, to sink.Sink, r *sinkResult) error,
) error {
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	for _, name := range names {
		i := slices.IndexFunc(cfg.Sinks, func(s home.Sink) bool { return s.Name == name })
		switch {
		case i < 0:
			return command.Usage(fmt.Errorf("no sink in config.toml has the name %q", name))
		case cfg.Sinks[i].IsMail():
			return command.Usage(fmt.Errorf("sink %s is a mailbox: a running bifrost sends to it, and "+
				"nobody can look into it from here", name))
		}
	}
	if len(cfg.Sinks) == 0 {
		return command.Usage(errors.New("config.toml names no sink: add a [[sink]]"))
	}
	result := &sinkResults{Sinks: []sinkResult{}}
	var failed []error
	for _, s := range cfg.Sinks {
		if s.IsMail() || len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		r := sinkResult{
			Name: s.Name, URL: s.URL, Copied: []string{}, Missing: []string{}, Altered: []string{},
			Unfit: []string{},
		}
		// One that cannot be opened keeps nothing from the others.
		to, err := service.OpenSink(s)
		if err != nil {
			r.Error = command.OneLine(err.Error())
			failed = append(failed, err)
		} else if err := do(ctx, cfg, s, to, &r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.Error = command.OneLine(err.Error())
			failed = append(failed, fmt.Errorf("sink %s: %w", s.Name, err))
		}
		result.Sinks = append(result.Sinks, r)
	}
	err = a.Print(result, func(w io.Writer) {
		for _, r := range result.Sinks {
			fmt.Fprintf(w, "%s: %d files, %d bytes in order; %d copied\n", r.Name, r.Files, r.Bytes,
				len(r.Copied))
			for _, list := range []struct {
				what  string
				names []string
			}{{"missing", r.Missing}, {"ALTERED", r.Altered}, {"damaged here", r.Unfit}} {
				for _, name := range list.names {
					fmt.Fprintf(w, "  %s: %s\n", list.what, command.OneLine(name))
				}
			}
			for _, line := range []string{r.Left, r.Error} {
				if line != "" {
					fmt.Fprintf(w, "  %s\n", line)
				}
			}
		}
	})
	return errors.Join(err, errors.Join(failed...))
}

func syncSink(
	ctx context.Context, cfg home.Config, s home.Sink, to sink.Sink, r *sinkResult,
) error {
	if s.HasEnvelopes() {
		r.Left = "envelopes: a running bifrost copies them, when it has verified which there are"
	}
	if !s.HasHome() {
		return nil
	}
	done, err := sink.Copy(ctx, service.HomeSource(cfg.Backup.Dir), to, s.MaxBytes, true)
	r.Files, r.Bytes = len(done.Held), done.Bytes
	r.Copied = append(r.Copied, done.Copied...)
	r.Altered = append(r.Altered, done.Altered...)
	for _, err := range done.Unfit {
		r.Unfit = append(r.Unfit, command.OneLine(err.Error()))
	}
	return err
}

// errIncomplete means that a sink lacks what it should hold.
var errIncomplete = errors.New("the sink is not complete")

func checkSink(
	ctx context.Context, cfg home.Config, s home.Sink, to sink.Sink, r *sinkResult,
) error {
	if s.HasEnvelopes() {
		r.Left = "envelopes: which should be there a running bifrost knows, see bifrost sink list"
	}
	there, err := to.List(ctx)
	if err != nil {
		return err
	}
	if s.HasHome() {
		groups, err := service.HomeSource(cfg.Backup.Dir).Names(ctx)
		if err != nil {
			return err
		}
		for _, name := range slices.Concat(groups...) {
			if _, ok := there[name]; !ok {
				r.Missing = append(r.Missing, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if !homebackup.IsFile(name) && !service.IsEnvelope(name) && !service.IsGroup(name) {
			continue // it is somebody else's
		}
		data, err := to.Get(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Missing = append(r.Missing, name)
			continue
		case err != nil:
			return err
		}
		switch {
		case service.IsEnvelope(name):
			err = service.CheckEnvelope(name, data)
		case service.IsGroup(name):
			err = service.CheckGroup(name, data)
		default:
			err = homebackup.CheckFile(name, data)
		}
		if err != nil {
			r.Altered = append(r.Altered, name)
			continue
		}
		r.Files, r.Bytes = r.Files+1, r.Bytes+int64(len(data))
	}
	switch {
	case len(r.Altered) > 0:
		return fmt.Errorf("%w: %s", sink.ErrAltered, strings.Join(r.Altered, ", "))
	case len(r.Missing) > 0:
		return fmt.Errorf("%w: %d files are missing; bifrost sink sync copies them", errIncomplete,
			len(r.Missing))
	}
	return nil
}
