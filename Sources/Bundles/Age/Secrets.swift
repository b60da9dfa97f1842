import Glibc

/// Clearing of secrets after use, as far as Swift allows.
///
/// Cleared: arrays and `Data` of ours that held key bytes. swift-crypto clears its own keys (`SymmetricKey`, `SharedSecret`, private
/// keys) when they are released. Not cleared, because nobody can: `String`s, copies that the compiler makes in registers and
/// on the stack, temporary `Data` inside swift-crypto, and what the kernel wrote to swap.
enum Secrets {
    /// Overwrites the bytes with zeros that the compiler may not leave out. The bytes must be ours alone: a `Data` that
    /// swift-crypto returns for a key shares the key's memory.
    @inline(never)
    static func wipe(_ bytes: inout some MutableCollection<UInt8>) {
        let isDone: Void? = unsafe bytes.withContiguousMutableStorageIfAvailable { buffer in
            guard let start = buffer.baseAddress else { return }
            unsafe explicit_bzero(start, buffer.count)
        }
        guard isDone == nil else { return }
        // Foundation's `Data` has no such storage to offer.
        var index = bytes.startIndex
        while index < bytes.endIndex {
            bytes[index] = 0
            bytes.formIndex(after: &index)
        }
    }

    /// Whether all bytes are zero, in a time that does not tell where one is not.
    @inline(never)
    static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe bytes.reduce(UInt8(0)) { $0 | $1 } == 0
    }
}
