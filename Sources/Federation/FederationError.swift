import Wire

/// What this module refuses, with the class of the refusal for the audit and a text for people.
///
/// Texts are lower case and without a full stop: what is wrong, on what, what to do.
package struct FederationError: Error, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// A message's JSON is not what its kind prescribes.
        case malformed
        /// A plan, or a wish, that cannot be trained.
        case badPlan = "bad plan"
        /// Tensor names, shapes, parts or roles differ from the base.
        case tensorMismatch = "tensor mismatch"
        /// NaN, infinity, or a negative variance.
        case notFinite = "not finite"
        /// The update moved further from its base than any honest training does.
        case normBound = "norm bound"
        /// Examples or steps that contradict the approved plan.
        case sampleCount = "sample count"
        /// An aggregation over nothing, or whose inputs contradict each other.
        case aggregation
        /// An event that the session's state does not allow; nothing has changed.
        case notAllowed = "not allowed"
    }

    package let code: Code
    package let detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail.singleLine
    }

    package var description: String { detail }
}
