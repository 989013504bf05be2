// SPDX-License-Identifier: GPL-2.0

// Goroutines that make garbage while it is collected, and keep some of it.
package main

import (
	"fmt"
	"runtime"
	"sync"
)

type node struct {
	left, right *node
	value       uint64
}

func tree(depth int, value uint64) *node {
	if depth == 0 {
		return &node{value: value}
	}
	return &node{tree(depth-1, value*3), tree(depth-1, value*5+1), value}
}

func (n *node) sum() uint64 {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

func main() {
	runtime.GOMAXPROCS(4)
	sums := make([]uint64, 8)
	var group sync.WaitGroup
	for g := range sums {
		group.Add(1)
		go func(g int) {
			defer group.Done()
			kept := map[int]*node{}
			for i := 0; i < 60; i++ {
				kept[i%7] = tree(10, uint64(g*1000+i))
				sums[g] += kept[(i*3)%7].sum()
				if i%20 == 0 {
					runtime.GC()
				}
			}
		}(g)
	}
	group.Wait()
	fmt.Println("result:", sums)
}
