package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A mutant that doesn't fit the program is found here, in a moment, and not after
// all the others have run.
func TestMutantsFitTheProgram(t *testing.T) {
	t.Chdir("../..")
	for _, m := range mutants {
		_, err := m.overlay(t.TempDir())
		assert.NoError(t, err, m.name)
	}
}
