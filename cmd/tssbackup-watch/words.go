package main

import (
	"fmt"
	"strconv"
	"time"
)

// duration is a length of time, to about two digits.
func duration(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// ago is how long ago something was. web/watch.js says it in the same words.
func ago(at, now time.Time) string {
	d := now.Sub(at)
	if d < time.Second {
		return "just now"
	}
	return duration(d) + " ago"
}

// stamp is a time as people read it.
func stamp(at time.Time) string { return at.UTC().Format("2 Jan 2006 15:04:05 UTC") }

// machine is a time as a machine reads it.
func machine(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// number groups digits by three.
func number[N int | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// size is a number of bytes.
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1000)
}

// beat says of a heartbeat what it was at a height, empty where none is due.
func beat(b *heartbeat, height int64) string {
	if b == nil {
		return ""
	}
	text := "no heartbeat yet"
	if latest := max(b.MachineHeight, b.PaperHeight); latest > 0 {
		text = fmt.Sprintf("heartbeat %s blocks ago", number(max(height-latest, 0)))
		if b.PaperHeight > 0 {
			text += fmt.Sprintf(", from paper %s blocks ago", number(max(height-b.PaperHeight, 0)))
		}
	}
	if b.Missed > 0 {
		text += fmt.Sprintf(", %s missed", number(b.Missed))
	}
	if b.Overdue {
		text += ": overdue"
	}
	return text
}
