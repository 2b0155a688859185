// Command crasher works for a while and then dies of a fault of its own.
package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

func main() {
	fmt.Println("working")
	time.Sleep(700*time.Millisecond + rand.N(600*time.Millisecond))
	var work []int
	fmt.Println(work[7])
}
