// A Go program: its runtime takes all of memory for its heap, sleeps in poll_oneoff, and collects.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

type Row struct {
	Name  string   `json:"name"`
	Words []string `json:"words"`
}

func main() {
	fmt.Println("arguments", len(os.Args), strings.Join(os.Args[1:], "|"))
	fmt.Println("GREETING is", os.Getenv("GREETING"))

	lines := 0
	for input := bufio.NewScanner(os.Stdin); input.Scan(); lines++ {
	}
	fmt.Println("lines", lines)

	// A folder with folders, written, walked, renamed in and removed.
	check(os.MkdirAll("/data/a/b", 0o755))
	for i := 0; i < 5; i++ {
		name := fmt.Sprintf("/data/a/b/file-%d", i)
		check(os.WriteFile(name, []byte(strings.Repeat("x", i)), 0o644))
	}
	check(os.Rename("/data/a/b/file-4", "/data/a/last"))
	check(filepath.WalkDir("/data", func(path string, entry fs.DirEntry, err error) error {
		check(err)
		info, err := entry.Info()
		check(err)
		if entry.IsDir() {
			fmt.Println(path)
		} else {
			fmt.Println(path, info.Size())
		}
		return nil
	}))
	check(os.RemoveAll("/data/a"))
	_, err := os.Stat("/data/a")
	fmt.Println("gone:", errors.Is(err, fs.ErrNotExist))

	// Goroutines that wait for each other and for time.
	var group sync.WaitGroup
	results := make(chan int)
	for i := 0; i < 10; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			time.Sleep(time.Duration(10-i) * time.Millisecond)
			results <- i * i
		}()
	}
	go func() { group.Wait(); close(results) }()
	sum := []int{}
	for result := range results {
		sum = append(sum, result)
	}
	sort.Ints(sum)
	fmt.Println(sum)

	// Garbage, and what must survive its collection.
	kept := map[int]*Row{}
	for i := 0; i < 20000; i++ {
		row := &Row{fmt.Sprint(i), strings.Fields(strings.Repeat("w ", i%7))}
		if i%1000 == 0 {
			kept[i] = row
		}
	}
	runtime.GC()
	text, err := json.Marshal(kept[5000])
	check(err)
	fmt.Println(len(kept), string(text))

	defer func() {
		fmt.Println("recovered:", recover())
		os.Exit(3)
	}()
	var empty []int
	fmt.Println(empty[lines])
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(9)
	}
}
