package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhatIsPrintedIsShown reads lines as they come, and has each in the picture once its time has
// come, with no wait longer than whoever looks has patience.
func TestWhatIsPrintedIsShown(t *testing.T) {
	clock := time.Unix(0, 0)
	lines, err := record(strings.NewReader("one <&>\n\nthree …\n"), func() time.Time {
		clock = clock.Add(time.Minute)
		return clock
	})
	require.NoError(t, err)
	require.Equal(t, []line{{"one <&>", time.Minute}, {"", time.Minute}, {"three …", time.Minute}}, lines)
	drawn := draw("make demo", lines)
	for _, part := range []string{
		">$ make demo</text>", ">one &lt;&amp;&gt;</text>", ">three …</text>",
		"animation:10.6s step-end infinite", "@keyframes l3{0%{visibility:hidden}43.18%{visibility:visible}}",
		"g{transform:translateY(0px)",
	} {
		require.Contains(t, drawn, part)
	}
	whole(t, drawn)
}

// TestAPageScrolls shows the last lines at the end, also where nothing moves.
func TestAPageScrolls(t *testing.T) {
	drawn := draw("count", make([]line, rows+2))
	require.Contains(t, drawn, "g{transform:translateY(-54px)", "the command and two lines are above")
	require.Contains(t, drawn, "{transform:translateY(-18px)}")
	require.NotContains(t, drawn, "translateY(-72px)")
	whole(t, drawn)
}

func whole(t *testing.T, drawn string) {
	decoder := xml.NewDecoder(strings.NewReader(drawn))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			return
		} else if err != nil {
			require.NoError(t, err)
		}
	}
}
