import Bundles
package import Wire

/// What a home has told its people, so that it is told once.
///
/// Only the newest are kept: what others send in decides what is told, and must not grow a home's state without end. One that
/// is forgotten would be told once more.
package struct Announcements: Equatable, Sendable {
    static let kept = 5_000
    /// Of a key, in bytes; a longer one is cut, and its digest stands for the rest.
    private static let keyBytes = 256

    /// Oldest first.
    private var keys: [String] = []
    private var known: Set<String> = []

    package init() {}

    /// - Returns: whether `key` had not been announced before.
    package mutating func announce(_ key: String) -> Bool {
        let key = Self.short(key)
        guard known.insert(key).inserted else { return false }
        keys.append(key)
        if keys.count > Self.kept { known.remove(keys.removeFirst()) }
        return true
    }

    /// For what goes on, such as trouble with one thing.
    /// - Returns: whether `reason` is another one than the last that was announced of this subject.
    package mutating func announce(_ subject: String, reason: String) -> Bool {
        let key = "\(subject): \(reason)"
        guard !known.contains(Self.short(key)) else { return false }
        forget(subject)
        return announce(key)
    }

    /// It is over, and news when it begins again.
    package mutating func forget(_ subject: String) {
        let isOfSubject = { (key: String) in key.hasPrefix(subject + ": ") }
        guard keys.contains(where: isOfSubject) else { return }
        keys.removeAll(where: isOfSubject)
        known = Set(keys)
    }

    private static func short(_ key: String) -> String {
        guard key.utf8.count > keyBytes else { return key }
        return String(decoding: key.utf8.prefix(keyBytes - 64), as: UTF8.self)
            + SHA256Hash.digest(of: Array(key.utf8)).hex
    }

    package var json: JSONValue { .array(keys.map { .string($0) }) }

    package init(_ strings: [String]) {
        for key in strings { _ = announce(key) }
    }
}
