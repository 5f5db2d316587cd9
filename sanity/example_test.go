package sanity_test

import (
	"fmt"

	"github.com/tssbackup/tssbackup/sanity"
)

// What stands between a mnemonic and the public: it is one, in whatever way it was written down,
// and no word of it is in the bytes that are sent.
func Example() {
	m, err := sanity.ParseMnemonic([]byte("1. Rookie 2. utility 3. later 4. divert 5. jealous 6. wire " +
		"7. response 8. lens 9. horse 10. lottery 11. switch 12. decline 13. bullet 14. chest 15. bicycle " +
		"16. marine 17. hour 18. outdoor 19. seek 20. magnet 21. plastic 22. virus 23. repeat 24. alter\n"))
	if err != nil {
		panic(err)
	}
	defer m.Wipe()
	fmt.Println(m.Words(), "words, which print as", m)
	fmt.Println(sanity.CheckNoWord([]byte("\x01\x02 lottery \x03"), m) != nil)

	_, err = sanity.ParseMnemonic([]byte("rookie utility later"))
	fmt.Println(err != nil)
	// Output:
	// 24 words, which print as [redacted]
	// true
	// true
}
