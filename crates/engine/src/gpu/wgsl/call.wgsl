// What changes from call to call. Columns are counted from the first one of the call.
struct Call {
    position: u32,      // absolute position of column 0
    first_column: u32,  // first column to compute
    columns: u32,       // one past the last column to compute
}
@group(0) @binding(0) var<uniform> call: Call;

// No place.
const NONE = 0xffffffffu;
