package prove

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// newNamespace makes a network namespace without a name. It ends with the
// handle and the devices' last sockets, at the latest with this process.
func newNamespace() (netns.NsHandle, error) {
	ns := netns.None()
	err := onThread(func() (err error) {
		ns, err = netns.New()
		return err
	})
	if err != nil {
		return netns.None(), fmt.Errorf("make a network namespace: %w", err)
	}
	return ns, nil
}

// inNamespace runs do in a network namespace. What do opens stays there.
func inNamespace(ns netns.NsHandle, do func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return do()
	})
}

// onThread runs do on a thread of its own, which ends afterwards and takes the
// namespace that it is in with it.
func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: see runtime.LockOSThread
		var err error
		defer func() { done <- err }()
		err = do()
	}()
	return <-done
}
