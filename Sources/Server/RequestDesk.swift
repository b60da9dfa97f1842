package import Wire

/// What the files on the request desk mean, decided over values: which request lies where, and what follows.
///
/// 1. A file is recognised by its content (the bundle's id), never by its name; `Mailbox.Desk` has settled already that
///    rejected wins over approved, and approved over pending.
/// 2. `approved/` itself makes a session of its own; `approved/NAME/` joins the session NAME.
/// 3. A pending request that has expired cannot be approved any more.
/// 4. Moving an approved request to `rejected/` drops its client from the session, as long as that goes on.
/// 5. What was decided stays decided: a file that is moved back changes nothing, and that is said.
/// 6. `pending/` holds what waits: the file of a request that was withdrawn or has expired is taken away.
package enum RequestDesk {
    package enum Place: Hashable, Sendable {
        case pending
        /// nil: lies directly in `approved/`.
        case approved(session: String?)
        case rejected
    }

    package enum Action: Equatable, Sendable {
        /// - `session`: the folder's name; nil for a session of its own.
        case approve(Digest, session: String?)
        case reject(Digest)
        /// A request that was approved before now lies in `rejected/`.
        case drop(Digest, session: RandomID)
        case expire(Digest)
        /// Nothing is to be decided of it any more.
        case clear(Digest)
        /// Lies in `approved/` but expired before; to be said once.
        case tooLate(Digest)
        /// Lies in `approved/` but was rejected or withdrawn before; to be said once.
        case overruled(Digest)
    }

    package static func actions(places: [Digest: Place], records: DeskRecords, now: Timestamp) -> [Action] {
        records.requests.compactMap { record in
            let place = places[record.id]
            switch (record.status, place) {
            case (.pending, .rejected): return .reject(record.id)
            case (.pending, .approved(let session)):
                return now <= record.expires ? .approve(record.id, session: session) : .tooLate(record.id)
            case (.pending, _): return now > record.expires ? .expire(record.id) : nil
            case (.withdrawn, .pending), (.expired, .pending): return .clear(record.id)
            case (.expired, .approved): return .tooLate(record.id)
            case (.rejected, .approved), (.withdrawn, .approved): return .overruled(record.id)
            case (.approved, .rejected): return record.session.map { .drop(record.id, session: $0) }
            default: return nil
            }
        }
    }
}
