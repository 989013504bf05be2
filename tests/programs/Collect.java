// SPDX-License-Identifier: GPL-2.0

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;

/** Threads that make garbage while it is collected, and keep some of it. */
public class Collect {
	record Node(Node left, Node right, long value) {
		static Node tree(int depth, long value) {
			if (depth == 0)
				return new Node(null, null, value);
			return new Node(tree(depth - 1, value * 3), tree(depth - 1, value * 5 + 1), value);
		}

		long sum() {
			return value + (left == null ? 0 : left.sum() + right.sum());
		}
	}

	public static void main(String[] args) throws InterruptedException {
		long[] sums = new long[6];
		List<Thread> threads = new ArrayList<>();
		for (int t = 0; t < sums.length; t++) {
			int me = t;
			Thread thread = new Thread(() -> {
				var kept = new HashMap<Integer, Node>();
				for (int i = 0; i < 60; i++) {
					kept.put(i % 7, Node.tree(10, me * 1000 + i));
					var old = kept.get(i * 3 % 7);
					sums[me] += old == null ? 0 : old.sum();
					if (i % 20 == 0)
						System.gc();
				}
			});
			threads.add(thread);
			thread.start();
		}
		for (Thread thread : threads)
			thread.join();
		System.out.println("result: " + java.util.Arrays.toString(sums));
	}
}
