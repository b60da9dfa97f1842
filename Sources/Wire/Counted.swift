/// A number of things as people write it: `1 picture`, `2 pictures`.
///
/// - Parameter many: where it is not the noun with an `s`.
package func counted(_ count: Int, _ one: String, _ many: String? = nil) -> String {
    "\(count) \(count == 1 ? one : many ?? one + "s")"
}
