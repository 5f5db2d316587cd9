package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// story tells what happens while it happens, and sums it up at the end.
type story struct {
	rows []row
}

type row struct {
	title, result string
	took          time.Duration
}

func (s *story) tell(
	ctx context.Context,
	i, n int,
	title string,
	do func(context.Context) (string, error),
) error {
	fmt.Printf("[%d/%d] %s …\n", i, n, title)
	begin := time.Now()
	result, err := do(ctx)
	took := time.Since(begin)
	if err != nil {
		return err
	}
	fmt.Printf("      %s (%.1fs)\n", strings.ReplaceAll(result, "\n", "\n      "), took.Seconds())
	s.rows = append(s.rows, row{title: title, result: result, took: took})
	return nil
}

func (s *story) print(n *network) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSTEP\tSECONDS\tRESULT")
	var total time.Duration
	for _, r := range s.rows {
		total += r.took
		first, _, _ := strings.Cut(r.result, "\n")
		fmt.Fprintf(w, "%s\t%.1f\t%s\n", r.title, r.took.Seconds(), first)
	}
	fmt.Fprintf(w, "together\t%.1f\t\n", total.Seconds())
	_ = w.Flush()

	w = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nMEMBER\tHEIGHT\tENVELOPE BYTES\tPROOF BYTES\tCHECKED IN\tTRANSACTION BYTES")
	var envelopes, txs uint64
	var proofs int
	for _, m := range n.holders {
		envelopes += m.Envelope.Size
		txs += m.Envelope.TxBytes
		proofs += m.Proof.Bytes
		fmt.Fprintf(
			w,
			"%s\t%d\t%d\t%d\t%d µs\t%d\n",
			m.Address,
			m.Envelope.Height,
			m.Envelope.Size,
			m.Proof.Bytes,
			m.Proof.VerifyMicros,
			m.Envelope.TxBytes,
		)
	}
	fmt.Fprintf(w, "on chain\t\t%d\t%d\t\t%d\n", envelopes, proofs, txs)
	_ = w.Flush()
}
